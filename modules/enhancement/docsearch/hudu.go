package docsearch

import (
	"context"
	"net/url"
	"strconv"

	"aiagents/modules/enhancement/evidence"
)

// huduSearches is how many keywords are searched for: Hudu finds articles with all words of a search, so each goes alone.
const huduSearches = 3

// hudu is one company of a Hudu instance.
type hudu struct {
	source
	company string
}

type huduArticle struct {
	ID       number `json:"id"`
	Name     string `json:"name"`
	Content  string `json:"content"`
	URL      string `json:"url"`
	Company  number `json:"company_id"`
	Draft    bool   `json:"draft"`
	Archived bool   `json:"archived"`
}

// Search implements Provider.
func (h *hudu) Search(ctx context.Context, keywords []string) ([]evidence.Article, error) {
	var articles []evidence.Article
	seen := map[number]bool{}
	for _, k := range keywords[:min(len(keywords), huduSearches)] {
		var answer struct {
			Articles []huduArticle `json:"articles"`
		}
		query := url.Values{"company_id": {h.company}, "search": {k}, "page": {"1"}, "page_size": {strconv.Itoa(resultLimit)}}
		if err := h.client.get(ctx, "api/v1/articles", query, &answer); err != nil {
			return nil, err
		}
		for _, a := range answer.Articles {
			if seen[a.ID] || a.ID == "" || string(a.Company) != h.company || a.Draft || a.Archived {
				continue
			}
			seen[a.ID] = true
			articles = append(articles, h.article(document{id: string(a.ID), title: a.Name, text: a.Content, url: a.URL}, keywords))
		}
	}
	return articles, nil
}
