package docsearch

import (
	"cmp"
	"context"
	"net/url"
	"slices"
	"strings"

	"aiagents/internal/fault"
	"aiagents/modules/enhancement/evidence"
)

// itGlue is one organization of an IT Glue account. Its API cannot search: documents are chosen by their names, and the
// sections of the best are read. A document beyond the first thousand is not found.
type itGlue struct {
	source
	organization string
}

type itGlueDocument struct {
	ID         number `json:"id"`
	Attributes struct {
		Name         string `json:"name"`
		URL          string `json:"resource-url"`
		Organization number `json:"organization-id"`
		Archived     bool   `json:"archived"`
	} `json:"attributes"`
}

// Search implements Provider.
func (g *itGlue) Search(ctx context.Context, keywords []string) ([]evidence.Article, error) {
	documents, err := g.documents(ctx)
	if err != nil {
		return nil, err
	}
	documents = slices.DeleteFunc(documents, func(d itGlueDocument) bool {
		a := d.Attributes
		foreign := a.Organization != "" && string(a.Organization) != g.organization
		return foreign || a.Archived || !digits.MatchString(string(d.ID)) || share(a.Name, keywords) == 0
	})
	slices.SortStableFunc(documents, func(a, b itGlueDocument) int {
		return cmp.Compare(share(b.Attributes.Name, keywords), share(a.Attributes.Name, keywords))
	})
	var articles []evidence.Article
	for _, d := range documents[:min(len(documents), MaxArticles)] {
		text, err := g.text(ctx, string(d.ID))
		if err != nil {
			return nil, err
		}
		articles = append(articles, g.article(document{id: string(d.ID), title: d.Attributes.Name, text: text, url: d.Attributes.URL}, keywords))
	}
	return articles, nil
}

// documents lists those in folders too, which needs a filter that not every account takes.
func (g *itGlue) documents(ctx context.Context) ([]itGlueDocument, error) {
	var answer struct {
		Data []itGlueDocument `json:"data"`
	}
	path := "organizations/" + g.organization + "/relationships/documents"
	query := url.Values{"page[size]": {"1000"}, "filter[document_folder_id]": {"null"}}
	err := g.client.get(ctx, path, query, &answer)
	if fault.Is(err, fault.Invalid) {
		query.Del("filter[document_folder_id]")
		err = g.client.get(ctx, path, query, &answer)
	}
	return answer.Data, err
}

func (g *itGlue) text(ctx context.Context, documentID string) (string, error) {
	var answer struct {
		Data []struct {
			Attributes struct {
				Content string `json:"content"`
			} `json:"attributes"`
		} `json:"data"`
	}
	if err := g.client.get(ctx, "documents/"+documentID+"/relationships/sections", nil, &answer); err != nil {
		return "", err
	}
	var text strings.Builder
	for _, s := range answer.Data {
		text.WriteString("<div>" + s.Attributes.Content + "</div>")
	}
	return text.String(), nil
}
