package adminapi

import (
	"bytes"
	_ "embed" // for the page's own files
	"encoding/json"
	"fmt"
	"html/template"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

var (
	//go:embed page.html
	pageTemplate string
	//go:embed style.css
	style []byte
)

// pageTag is one part of the page.
type pageTag struct {
	Name, Description string
	Operations        []pageOperation
}

// pageOperation is one operation as the page shows it.
type pageOperation struct {
	ID, Method, Path, Summary, Description string
	Params                                 []*huma.Param
	Body, Success                          string // names of schemas
	SuccessStatus                          string
	Refusals                               []string
}

type pageSchema struct{ Name, JSON string }

// renderPage makes the page once: the document does not change while the program runs. It needs no script and nothing from
// elsewhere.
func renderPage(doc *huma.OpenAPI) ([]byte, error) {
	page := struct {
		Info    *huma.Info
		Prefix  string
		Tags    []pageTag
		Schemas []pageSchema
	}{Info: doc.Info, Prefix: Prefix}
	for _, t := range doc.Tags {
		part := pageTag{Name: t.Name, Description: t.Description}
		for _, path := range sortedKeys(doc.Paths) {
			item := doc.Paths[path]
			for _, op := range []*huma.Operation{item.Get, item.Post, item.Put, item.Patch, item.Delete} {
				if op != nil && slices.Contains(op.Tags, t.Name) {
					part.Operations = append(part.Operations, showOperation(doc, path, op))
				}
			}
		}
		page.Tags = append(page.Tags, part)
	}
	schemas := doc.Components.Schemas.Map()
	for _, name := range sortedKeys(schemas) {
		raw, err := json.MarshalIndent(schemas[name], "", "  ")
		if err != nil {
			return nil, fmt.Errorf("encode schema %s: %w", name, err)
		}
		page.Schemas = append(page.Schemas, pageSchema{name, string(raw)})
	}
	parsed, err := template.New("page").Parse(pageTemplate)
	if err != nil {
		return nil, fmt.Errorf("read page: %w", err)
	}
	var out bytes.Buffer
	if err := parsed.Execute(&out, page); err != nil {
		return nil, fmt.Errorf("render page: %w", err)
	}
	return out.Bytes(), nil
}

func showOperation(doc *huma.OpenAPI, path string, op *huma.Operation) pageOperation {
	shown := pageOperation{ID: op.OperationID, Method: op.Method, Path: Prefix + path, Summary: op.Summary, Description: op.Description, Params: op.Parameters}
	if op.RequestBody != nil {
		shown.Body = schemaOf(op.RequestBody.Content)
	}
	for _, status := range sortedKeys(op.Responses) {
		r := op.Responses[status]
		if strings.HasPrefix(status, "2") {
			shown.SuccessStatus, shown.Success = status, schemaOf(r.Content)
			continue
		}
		component := doc.Components.Responses[strings.TrimPrefix(r.Ref, "#/components/responses/")]
		shown.Refusals = append(shown.Refusals, status+" "+component.Description)
	}
	return shown
}

func schemaOf(content map[string]*huma.MediaType) string {
	for _, media := range content {
		if media.Schema != nil {
			return strings.TrimPrefix(media.Schema.Ref, "#/components/schemas/")
		}
	}
	return ""
}

func sortedKeys[T any](m map[string]T) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
