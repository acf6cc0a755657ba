package docsearch

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"net/url"
	"strconv"
	"strings"

	"aiagents/internal/fault"
	"aiagents/modules/enhancement/evidence"
)

// generic is any search behind GET {base}/api/search?query=&limit= with a bearer token. It answers a JSON array, or an
// object with one under "results": id, title, excerpt or content (text or HTML), and optionally url and section.
type generic struct{ source }

type genericResult struct {
	ID      number `json:"id"`
	Title   string `json:"title"`
	Section string `json:"section"`
	Excerpt string `json:"excerpt"`
	Content string `json:"content"`
	URL     string `json:"url"`
}

// Search implements Provider. The keywords go as one query, separated by spaces.
func (g *generic) Search(ctx context.Context, keywords []string) ([]evidence.Article, error) {
	var raw json.RawMessage
	query := url.Values{"query": {strings.Join(keywords, " ")}, "limit": {strconv.Itoa(resultLimit)}}
	if err := g.client.get(ctx, "api/search", query, &raw); err != nil {
		return nil, err
	}
	if !bytes.HasPrefix(raw, []byte("[")) {
		var answer struct {
			Results json.RawMessage `json:"results"`
		}
		// What is no object has no results, and fails below.
		_ = json.Unmarshal(raw, &answer)
		raw = answer.Results
	}
	var results []genericResult
	if err := json.Unmarshal(raw, &results); err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "the documentation's answer is not a list of results")
	}
	var articles []evidence.Article
	for _, r := range results[:min(len(results), resultLimit)] {
		id := cmp.Or(string(r.ID), r.URL)
		if id == "" || strings.TrimSpace(r.Title) == "" {
			continue
		}
		articles = append(articles, g.article(document{
			id: id, title: r.Title, section: r.Section, text: cmp.Or(r.Content, r.Excerpt), url: r.URL,
		}, keywords))
	}
	return articles, nil
}
