package docsearch

import (
	"context"
	"net/url"
	"strconv"
	"strings"

	"aiagents/modules/enhancement/evidence"
)

// cql asks for pages with any of the words; Confluence puts those with most of them first. Keywords have no character that
// means something to it.
func cql(keywords, spaces []string) string {
	quoted := func(words []string, format string) []string {
		out := make([]string, len(words))
		for i, w := range words {
			out[i] = strings.ReplaceAll(format, "%", w)
		}
		return out
	}
	q := "type = page"
	if len(spaces) > 0 {
		q += " AND space in (" + strings.Join(quoted(spaces, `"%"`), ", ") + ")"
	}
	// The inner quotes keep a word with dots or dashes together.
	return q + " AND (" + strings.Join(quoted(keywords, `text ~ "\"%\""`), " OR ") + ")"
}

// confluenceCloud is Confluence Cloud, whose base address ends in /wiki.
type confluenceCloud struct {
	source
	spaces []string
}

// Search implements Provider.
func (c *confluenceCloud) Search(ctx context.Context, keywords []string) ([]evidence.Article, error) {
	var answer struct {
		Results []struct {
			Content struct {
				ID number `json:"id"`
			} `json:"content"`
			Title   string `json:"title"`
			Excerpt string `json:"excerpt"`
			URL     string `json:"url"`
		} `json:"results"`
	}
	query := url.Values{"cql": {cql(keywords, c.spaces)}, "limit": {strconv.Itoa(resultLimit)}, "excerpt": {"highlight"}}
	if err := c.client.get(ctx, "rest/api/search", query, &answer); err != nil {
		return nil, err
	}
	var articles []evidence.Article
	for _, r := range answer.Results {
		if r.Content.ID != "" {
			articles = append(articles, c.article(document{id: string(r.Content.ID), title: r.Title, text: r.Excerpt, url: r.URL}, keywords))
		}
	}
	return articles, nil
}

// confluence is Confluence Data Center. Its search has no excerpts, so pages come with their bodies.
type confluence struct {
	source
	spaces []string
}

// Search implements Provider.
func (c *confluence) Search(ctx context.Context, keywords []string) ([]evidence.Article, error) {
	var answer struct {
		Results []struct {
			ID    number `json:"id"`
			Title string `json:"title"`
			Body  struct {
				View struct {
					Value string `json:"value"`
				} `json:"view"`
			} `json:"body"`
			Links struct {
				WebUI string `json:"webui"`
			} `json:"_links"`
		} `json:"results"`
	}
	query := url.Values{"cql": {cql(keywords, c.spaces)}, "limit": {strconv.Itoa(resultLimit)}, "expand": {"body.view"}}
	if err := c.client.get(ctx, "rest/api/content/search", query, &answer); err != nil {
		return nil, err
	}
	var articles []evidence.Article
	for _, r := range answer.Results {
		if r.ID != "" {
			articles = append(articles, c.article(document{id: string(r.ID), title: r.Title, text: r.Body.View.Value, url: r.Links.WebUI}, keywords))
		}
	}
	return articles, nil
}
