package openai_test

import (
	"encoding/base64"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"aiagents/internal/simulator/openai"
)

func TestEmbeddings(t *testing.T) {
	t.Parallel()
	c := start(t, openai.Options{})
	g := c.do("POST", "/v1/embeddings", m{"model": "text-embedding-3-small", "input": []string{"VPN is down", "vpn down"}, "dimensions": 256})
	require.Equal(t, 200, g.status, g.text)
	data := g.json["data"].([]any)
	require.Len(t, data, 2)
	require.Len(t, data[0].(map[string]any)["embedding"], 256)
	g = c.do("POST", "/v1/embeddings", m{"model": "text-embedding-3-small", "input": "x", "encoding_format": "base64"})
	raw, err := base64.StdEncoding.DecodeString(g.json["data"].([]any)[0].(map[string]any)["embedding"].(string))
	require.NoError(t, err)
	require.Len(t, raw, 4*1536)
	for name, body := range map[string]m{
		"chat model":      {"model": "gpt-4o-mini", "input": "x"},
		"empty input":     {"model": "text-embedding-3-small", "input": ""},
		"no input":        {"model": "text-embedding-3-small"},
		"empty in list":   {"model": "text-embedding-3-small", "input": []string{"a", ""}},
		"too long vector": {"model": "text-embedding-3-small", "input": "x", "dimensions": 2000},
		"unknown format":  {"model": "text-embedding-3-small", "input": "x", "encoding_format": "hex"},
		"too long text":   {"model": "text-embedding-3-small", "input": strings.Repeat("word ", 8_192)},
		"too much":        {"model": "text-embedding-3-small", "input": slices.Repeat([]string{strings.Repeat("word ", 6_000)}, 41)},
		"fixed length":    {"model": "text-embedding-ada-002", "input": "x", "dimensions": 256},
		"unknown field":   {"model": "text-embedding-3-small", "input": "x", "pooling": "mean"},
	} {
		require.Equal(t, 400, c.do("POST", "/v1/embeddings", body).status, name)
	}
	require.Equal(t, 404, c.do("POST", "/v1/embeddings", m{"model": "none", "input": "x"}).status)
}

func TestEmbedIsNearForSharedWords(t *testing.T) {
	t.Parallel()
	dot := func(a, b string) float64 {
		x, y, sum := openai.Embed(a, 512), openai.Embed(b, 512), 0.0
		for i := range x {
			sum += float64(x[i]) * float64(y[i])
		}
		return sum
	}
	require.InDelta(t, 1, dot("The VPN is down.", "the vpn is down"), 1e-6)
	require.Greater(t, dot("print spooler stopped", "spooler stopped again"), dot("print spooler stopped", "mailbox quota exceeded"))
	require.False(t, math.IsNaN(dot("", "x")))
}

func BenchmarkChat(b *testing.B) {
	h := openai.New(openai.Options{CountersOnly: true, Respond: func(openai.Request) string { return `{"verdict":"x"}` }}).Handler()
	body := `{"model":"gpt-4o-mini","messages":[{"role":"user","content":"` + strings.Repeat("evidence line ", 600) + `"}],` +
		`"response_format":{"type":"json_schema","json_schema":{"name":"note","strict":true,"schema":{"type":"object","additionalProperties":false,` +
		`"properties":{"verdict":{"type":"string"}},"required":["verdict"]}}}}`
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r := httptest.NewRequest(http.MethodPost, "/v1/chat/completions", strings.NewReader(body))
			r.Header.Set("Authorization", "Bearer k")
			r.Header.Set("Content-Type", "application/json")
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != 200 {
				b.Fatal(w.Body.String())
			}
		}
	})
}
