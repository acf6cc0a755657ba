package openai_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"aiagents/internal/simulator/openai"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func today() time.Time { return time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC) }

type client struct {
	t      *testing.T
	api    *openai.Server
	server *httptest.Server
	header http.Header
}

func start(t *testing.T, o openai.Options) *client {
	t.Helper()
	if o.Clock == nil {
		o.Clock = today
	}
	o.APIKey = "sk-test"
	api := openai.New(o)
	server := httptest.NewServer(api.Handler())
	t.Cleanup(func() {
		api.Close()
		server.Close()
	})
	return &client{t, api, server, http.Header{"Authorization": {"Bearer sk-test"}, "Content-Type": {"application/json"}}}
}

type got struct {
	status int
	header http.Header
	text   string
	json   map[string]any
}

func (c *client) try(ctx context.Context, method, path string, body any) (got, error) {
	raw, isText := body.(string)
	if !isText && body != nil {
		b, err := json.Marshal(body)
		require.NoError(c.t, err)
		raw = string(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.server.URL+path, bytes.NewBufferString(raw))
	require.NoError(c.t, err)
	req.Header = c.header.Clone()
	resp, err := c.server.Client().Do(req)
	if err != nil {
		return got{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	g := got{status: resp.StatusCode, header: resp.Header, text: string(text)}
	_ = json.Unmarshal(text, &g.json)
	return g, err
}

func (c *client) do(method, path string, body any) got {
	c.t.Helper()
	g, err := c.try(c.t.Context(), method, path, body)
	require.NoError(c.t, err)
	return g
}

func (c *client) chat(body any) got {
	c.t.Helper()
	return c.do("POST", "/v1/chat/completions", body)
}

type m = map[string]any

// ask is a request the real API takes, with changes.
func ask(changes ...m) m {
	out := m{"model": "gpt-4o-mini", "messages": []any{
		m{"role": "system", "content": "You help technicians."}, m{"role": "user", "content": evidence},
	}}
	for _, c := range changes {
		maps.Copy(out, c)
	}
	return out
}

const evidence = `Ticket: the print server stopped again
[T-1041] Spooler stopped on print-srv-01, cleared the queue and restarted it
[T-1077] Driver update broke the spooler on print-srv-01, rolled it back`

func noteSchema() m {
	text := m{"type": "string"}
	return object(m{
		"verdict": text, "confidence": m{"type": "string", "enum": []any{"low", "medium", "high"}},
		"host":  m{"type": []any{"string", "null"}},
		"steps": m{"type": "array", "items": text, "minItems": 3},
		"evidence": m{"type": "array", "items": object(m{
			"source_id": text, "why": text, "score": m{"type": "number", "minimum": 0, "maximum": 1},
		})},
	})
}

func object(properties m) m {
	required := []any{}
	for k := range properties {
		required = append(required, k)
	}
	return m{"type": "object", "additionalProperties": false, "properties": properties, "required": required}
}

func strict(schema m) m {
	return m{"response_format": m{"type": "json_schema", "json_schema": m{"name": "note", "strict": true, "schema": schema}}}
}

func (g got) apiError(t *testing.T) m {
	t.Helper()
	e, ok := g.json["error"].(map[string]any)
	require.True(t, ok, g.text)
	return e
}

func (g got) choice(t *testing.T) (content, finish string, message m) {
	t.Helper()
	require.Equal(t, 200, g.status, g.text)
	c := g.json["choices"].([]any)[0].(map[string]any)
	message = c["message"].(map[string]any)
	content, _ = message["content"].(string)
	return content, c["finish_reason"].(string), message
}
