package openai_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"aiagents/internal/simulator/openai"
)

func TestGoodAnswerFollowsSchemaAndEvidence(t *testing.T) {
	t.Parallel()
	c := start(t, openai.Options{})
	g := c.chat(ask(strict(noteSchema())))
	content, finish, message := g.choice(t)
	require.Equal(t, "stop", finish)
	require.Nil(t, message["refusal"])
	var note struct {
		Verdict, Confidence, Host string
		Steps                     []string
		Evidence                  []struct {
			SourceID string `json:"source_id"`
			Why      string
			Score    float64
		}
	}
	dec := json.NewDecoder(strings.NewReader(content))
	dec.DisallowUnknownFields()
	require.NoError(t, dec.Decode(&note))
	require.Equal(t, "medium", note.Confidence)
	require.Equal(t, "print-srv-01", note.Host)
	require.Len(t, note.Steps, 3)
	require.Equal(t, "T-1041", note.Evidence[0].SourceID)
	require.Equal(t, "T-1077", note.Evidence[1].SourceID)
	require.InDelta(t, 0.5, note.Evidence[0].Score, 0)
	require.Contains(t, evidence, note.Verdict, "every text is from the evidence")

	again, _, _ := c.chat(ask(strict(noteSchema()))).choice(t)
	require.Equal(t, content, again)
	usage := g.json["usage"].(map[string]any)
	require.InDelta(t, float64(len(content))/4, usage["completion_tokens"], 1)
	require.InDelta(t, usage["prompt_tokens"].(float64)+usage["completion_tokens"].(float64), usage["total_tokens"], 0)
	require.NotEmpty(t, g.header.Get("X-Request-Id"))
	require.NotEmpty(t, g.header.Get("X-Ratelimit-Remaining-Requests"))
}

func TestFillSatisfiesBounds(t *testing.T) {
	t.Parallel()
	schema := object(m{
		"one": m{"type": "integer", "minimum": 4, "maximum": 9, "multipleOf": 4}, "two": m{"type": "number", "exclusiveMaximum": 0.2},
		"three": m{"type": "array", "minItems": 5, "items": m{"const": "x"}}, "four": m{"type": "string", "format": "ipv4"},
		"five": m{"$ref": "#/$defs/tree"}, "six": m{"type": "boolean"}, "seven": m{"type": "array", "items": m{"type": "string"}, "maxItems": 1},
	})
	schema["$defs"] = m{"tree": object(m{"child": m{"anyOf": []any{m{"$ref": "#/$defs/tree"}, m{"type": "null"}}}})}
	require.Empty(t, openai.CheckStrict(schema))
	var v map[string]any
	require.NoError(t, json.Unmarshal([]byte(openai.Fill(schema)), &v))
	require.InDelta(t, 4, v["one"], 0)
	require.Less(t, v["two"], 0.2)
	require.Len(t, v["three"], 5)
	require.Equal(t, "192.0.2.1", v["four"])
	require.Contains(t, v["five"], "child")
	require.Len(t, v["seven"], 1)
	require.Equal(t, "null", openai.Fill("{"))
	endless := object(m{"a": m{"$ref": "#"}})
	require.Contains(t, openai.Fill(endless), `{"a":null}`, "no value satisfies it; filling ends all the same")
}

func TestErrorBehaviours(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		b      openai.Behaviour
		status int
		code   any
		retry  string
	}{
		{openai.Behaviour{Kind: openai.RateLimited}, 429, "rate_limit_exceeded", "1"},
		{openai.Behaviour{Kind: openai.RateLimited, RetryAfter: 20 * time.Second}, 429, "rate_limit_exceeded", "20"},
		{openai.Behaviour{Kind: openai.OutOfQuota}, 429, "insufficient_quota", ""},
		{openai.Behaviour{Kind: openai.ServerError}, 500, nil, ""},
		{openai.Behaviour{Kind: openai.ServerError, Status: 502}, 502, nil, ""},
		{openai.Behaviour{Kind: openai.Overloaded}, 503, "server_is_overloaded", ""},
		{openai.Behaviour{Kind: openai.Forbidden}, 403, "unsupported_country_region_territory", ""},
	} {
		t.Run(string(tc.b.Kind), func(t *testing.T) {
			t.Parallel()
			c := start(t, openai.Options{})
			c.api.Script(tc.b)
			g := c.chat(ask())
			require.Equal(t, tc.status, g.status)
			require.Equal(t, tc.code, g.apiError(t)["code"])
			require.Equal(t, tc.retry, g.header.Get("Retry-After"))
			require.Equal(t, tc.b.Kind, c.api.Requests()[0].Behaviour)
			require.Equal(t, 200, c.chat(ask()).status, "used up after one")
		})
	}
}

func TestContentBehaviours(t *testing.T) {
	t.Parallel()
	answer := func(t *testing.T, b openai.Behaviour) (string, string, m) {
		t.Helper()
		c := start(t, openai.Options{})
		c.api.Script(b)
		return c.chat(ask(strict(noteSchema()))).choice(t)
	}
	good, _, _ := answer(t, openai.Behaviour{})
	for _, tc := range []struct {
		kind   openai.Kind
		finish string
		check  func(t *testing.T, content string, message m)
	}{
		{openai.Truncated, "length", func(t *testing.T, s string, _ m) { require.True(t, s != "" && strings.HasPrefix(good, s) && s != good) }},
		{openai.ContentFilter, "content_filter", func(t *testing.T, _ string, msg m) { require.Nil(t, msg["content"]) }},
		{openai.Refusal, "stop", func(t *testing.T, _ string, msg m) {
			require.Nil(t, msg["content"])
			require.Contains(t, msg["refusal"], "can't help")
		}},
		{openai.NotJSON, "stop", func(t *testing.T, s string, _ m) { require.False(t, json.Valid([]byte(s))) }},
		{openai.SchemaEcho, "stop", func(t *testing.T, s string, _ m) { require.Contains(t, s, `"additionalProperties":false`) }},
		{openai.StringForList, "stop", func(t *testing.T, s string, _ m) {
			var v map[string]any
			require.NoError(t, json.Unmarshal([]byte(s), &v))
			require.IsType(t, "", v["steps"])
		}},
		{openai.Fenced, "stop", func(t *testing.T, s string, _ m) { require.Contains(t, s, "```json\n"+good) }},
		{openai.EmptyContent, "stop", func(t *testing.T, _ string, msg m) { require.Empty(t, msg["content"]) }},
		{openai.Invented, "stop", func(t *testing.T, s string, _ m) {
			for _, foreign := range []string{openai.InventedHost, openai.InventedAddress, openai.InventedTicket, openai.InventedLink} {
				require.Contains(t, s, foreign)
			}
			require.Contains(t, s, `"confidence":"medium"`, "enumerated values stay valid")
		}},
	} {
		t.Run(string(tc.kind), func(t *testing.T) {
			t.Parallel()
			content, finish, message := answer(t, openai.Behaviour{Kind: tc.kind})
			require.Equal(t, tc.finish, finish)
			tc.check(t, content, message)
		})
	}
}

func TestTransportBehaviours(t *testing.T) {
	t.Parallel()
	c := start(t, openai.Options{})
	c.api.Script(openai.Behaviour{Kind: openai.HTMLPage}, openai.Behaviour{Kind: openai.Garbage}, openai.Behaviour{Kind: openai.EmptyChoices},
		openai.Behaviour{Kind: openai.NoUsage}, openai.Behaviour{Kind: openai.ZeroUsage}, openai.Behaviour{Kind: openai.SlowDrip, Delay: time.Microsecond},
		openai.Behaviour{Kind: openai.Cut}, openai.Behaviour{Kind: openai.HalfAnswer})
	g := c.chat(ask())
	require.Contains(t, g.header.Get("Content-Type"), "text/html")
	require.Equal(t, 200, g.status)
	g = c.chat(ask())
	require.Equal(t, "application/json", g.header.Get("Content-Type"))
	require.False(t, json.Valid([]byte(g.text)))
	require.Empty(t, c.chat(ask()).json["choices"])
	require.NotContains(t, c.chat(ask()).json, "usage")
	require.InDelta(t, 0, c.chat(ask()).json["usage"].(map[string]any)["total_tokens"], 0)
	require.Equal(t, 200, c.chat(ask()).status)
	for range 2 {
		_, err := c.try(t.Context(), "POST", "/v1/chat/completions", ask())
		require.Error(t, err)
	}
	require.Equal(t, 8, c.api.Calls())
	require.Zero(t, c.api.Requests()[6].Status)
}

func TestStallAndDelay(t *testing.T) {
	t.Parallel()
	c := start(t, openai.Options{})
	c.api.Script(openai.Behaviour{Kind: openai.Stall}, openai.Behaviour{Delay: time.Hour}, openai.Behaviour{Kind: openai.Stall})
	for range 2 {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		_, err := c.try(ctx, "POST", "/v1/chat/completions", ask())
		cancel()
		require.ErrorIs(t, err, context.DeadlineExceeded)
	}
	failed := make(chan error, 1)
	go func() {
		_, err := c.try(context.Background(), "POST", "/v1/chat/completions", ask())
		failed <- err
	}()
	require.Eventually(t, func() bool { return c.api.Calls() == 3 }, time.Second, time.Millisecond)
	c.api.Close()
	require.Error(t, <-failed)
}

func TestScriptOrder(t *testing.T) {
	t.Parallel()
	c := start(t, openai.Options{Behave: func(r openai.Request) openai.Behaviour {
		if strings.Contains(r.User(), "outage") {
			return openai.Behaviour{Kind: openai.Overloaded}
		}
		return openai.Behaviour{}
	}})
	outage := ask(m{"messages": []any{m{"role": "user", "content": "outage"}}})
	c.api.Script(openai.Behaviour{Kind: openai.ServerError})
	c.api.ScriptModel("gpt-6-luna", openai.Behaviour{Kind: openai.OutOfQuota})
	require.Equal(t, 429, c.chat(ask(m{"model": "gpt-6-luna"})).status)
	require.Equal(t, 500, c.chat(ask()).status)
	require.Equal(t, 503, c.chat(outage).status)
	require.Equal(t, 200, c.chat(ask()).status)
	c.api.Always(openai.Behaviour{Kind: openai.RateLimited})
	require.Equal(t, 429, c.chat(ask()).status)
	require.Equal(t, 429, c.chat(ask()).status)
	c.api.Reset()
	require.Equal(t, 200, c.chat(ask()).status)
}

func TestRespondContentAndLimits(t *testing.T) {
	t.Parallel()
	c := start(t, openai.Options{Respond: func(r openai.Request) string {
		return r.Model + "|" + r.SchemaName + "|" + r.Messages[0].Role + "|" + r.User()
	}})
	content, _, _ := c.chat(ask(strict(noteSchema()))).choice(t)
	require.Equal(t, "gpt-4o-mini|note|system|"+evidence, content)
	c.api.Script(openai.Behaviour{Content: "mine"})
	content, _, _ = c.chat(ask()).choice(t)
	require.Equal(t, "mine", content)
	content, finish, _ := c.chat(ask(m{"max_completion_tokens": 5})).choice(t)
	require.Equal(t, "length", finish)
	require.Len(t, content, 20)
	parts := m{"messages": []any{m{"role": "user", "content": []any{m{"type": "text", "text": "a"}, m{"type": "text", "text": "b"}}}}}
	content, _, _ = c.chat(ask(parts)).choice(t)
	require.True(t, strings.HasSuffix(content, "|ab"))
}

func TestLedger(t *testing.T) {
	t.Parallel()
	c := start(t, openai.Options{})
	c.header.Set("X-Stainless-Lang", "go")
	c.chat(ask(m{"messages": []any{m{"role": "user", "content": "canary \"7f3a\" é"}}}))
	c.chat(ask())
	c.header.Set("Authorization", "Bearer no")
	c.chat(ask())
	all := c.api.Requests()
	require.Len(t, all, 3)
	require.Equal(t, "canary \"7f3a\" é", all[0].Prompt)
	require.Equal(t, "go", all[0].Header.Get("X-Stainless-Lang"))
	require.Equal(t, 401, all[2].Status)
	require.Len(t, c.api.Find(`canary "7f3a" é`), 1)
	require.Empty(t, c.api.Find("another canary"))
	require.Equal(t, 3, c.api.Calls())
	require.Equal(t, 3, c.api.CallsTo(""))

	quiet := start(t, openai.Options{CountersOnly: true})
	quiet.chat(ask())
	require.Empty(t, quiet.api.Requests())
	require.Equal(t, 1, quiet.api.Calls())
}

func TestSetAPIKey(t *testing.T) {
	t.Parallel()
	c := start(t, openai.Options{})
	c.api.SetAPIKey("sk-new")
	require.Equal(t, 401, c.chat(ask()).status)
	c.header.Set("Authorization", "Bearer sk-new")
	require.Equal(t, 200, c.chat(ask()).status)
}

func TestServe(t *testing.T) {
	t.Parallel()
	_, err := openai.Serve("0.0.0.0:0", openai.New(openai.Options{}))
	require.ErrorContains(t, err, "not loopback")
	l, err := openai.Serve("127.0.0.1:0", openai.New(openai.Options{}))
	require.NoError(t, err)
	req, err := http.NewRequest(http.MethodGet, l.URL+"/models", nil)
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer any")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, 200, resp.StatusCode)
	require.NoError(t, l.Close())
}
