package openai_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"aiagents/internal/simulator/openai"
)

// Each case is one thing the real API refuses; the plain request beside it passes.
func TestRefusals(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name          string
		body          any
		header        map[string]string
		status        int
		code, message string
	}{
		{name: "the good call", body: ask(), status: 200},
		{name: "no key", body: ask(), header: map[string]string{"Authorization": ""}, status: 401},
		{name: "wrong key", body: ask(), header: map[string]string{"Authorization": "Bearer sk-other"}, status: 401, code: "invalid_api_key"},
		{name: "key without scheme", body: ask(), header: map[string]string{"Authorization": "sk-test"}, status: 401},
		{name: "form body", body: "model=x", header: map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, status: 400},
		{name: "broken JSON", body: `{"model":`, status: 400, message: "could not parse"},
		{name: "no model", body: m{"messages": []any{}}, status: 400, message: "model parameter"},
		{name: "unknown model", body: ask(m{"model": "gpt-9"}), status: 404, code: "model_not_found", message: "does not exist"},
		{name: "retired model", body: ask(m{"model": "gpt-4.1-nano"}), status: 404, code: "model_not_found", message: "deprecated"},
		{name: "embedding model", body: ask(m{"model": "text-embedding-3-small"}), status: 404, message: "not a chat model"},
		{name: "unknown argument", body: ask(m{"temprature": 0}), status: 400, message: "Unrecognized request argument supplied: temprature"},
		{name: "tools are not played", body: ask(m{"tools": []any{}}), status: 400, code: "unsupported_parameter"},
		{name: "stream is not played", body: ask(m{"stream": true}), status: 400, code: "unsupported_value"},
		{name: "two choices", body: ask(m{"n": 2}), status: 400, code: "unsupported_value"},
		{name: "no messages", body: ask(m{"messages": []any{}}), status: 400, code: "empty_array"},
		{name: "unknown role", body: ask(m{"messages": []any{m{"role": "robot", "content": "x"}}}), status: 400, code: "invalid_value"},
		{name: "content as number", body: ask(m{"messages": []any{m{"role": "user", "content": 1}}}), status: 400, code: "invalid_type"},
		{name: "null content", body: ask(m{"messages": []any{m{"role": "user", "content": nil}}}), status: 400, code: "invalid_type"},
		{name: "picture", body: ask(m{"messages": []any{m{"role": "user", "content": []any{m{"type": "image_url"}}}}}), status: 400, code: "invalid_type"},
		{name: "wrong type", body: ask(m{"temperature": "hot"}), status: 400, code: "invalid_type"},
		{name: "temperature too high", body: ask(m{"temperature": 3}), status: 400},
		{name: "both limits", body: ask(m{"max_tokens": 5, "max_completion_tokens": 5}), status: 400, code: "invalid_parameter_combination"},
		{name: "limit zero", body: ask(m{"max_completion_tokens": 0}), status: 400, code: "integer_below_min_value"},
		{name: "effort on a plain model", body: ask(m{"reasoning_effort": "low"}), status: 400, message: "Unrecognized request argument"},
		{name: "max_tokens on a reasoning model", body: ask(m{"model": "gpt-6-luna", "max_tokens": 5}), status: 400, code: "unsupported_parameter", message: "max_completion_tokens"},
		{name: "temperature on a reasoning model", body: ask(m{"model": "gpt-6-luna", "temperature": 0.2}), status: 400, code: "unsupported_value"},
		{name: "logprobs on a reasoning model", body: ask(m{"model": "gpt-6-luna", "logprobs": true}), status: 400, code: "unsupported_parameter"},
		{name: "unknown effort", body: ask(m{"model": "gpt-6-luna", "reasoning_effort": "huge"}), status: 400, code: "invalid_value"},
		{name: "unknown format", body: ask(m{"response_format": m{"type": "yaml"}}), status: 400, code: "invalid_value"},
		{name: "json_object without the word", body: ask(m{"response_format": m{"type": "json_object"}}), status: 400, message: "must contain the word 'json'"},
		{name: "json_schema missing", body: ask(m{"response_format": m{"type": "json_schema"}}), status: 400, code: "missing_required_parameter"},
		{name: "schema without name", body: ask(m{"response_format": m{"type": "json_schema", "json_schema": m{"schema": noteSchema()}}}), status: 400, code: "missing_required_parameter"},
		{name: "name with spaces", body: ask(m{"response_format": m{"type": "json_schema", "json_schema": m{"name": "my note", "schema": noteSchema()}}}), status: 400, code: "invalid_value"},
		{name: "schema not strict enough", body: ask(strict(m{"type": "object", "properties": m{}})), status: 400, message: "additionalProperties"},
		{name: "strict without schema", body: ask(m{"response_format": m{"type": "json_schema", "json_schema": m{"name": "note", "strict": true}}}), status: 400, message: "Invalid schema"},
		{name: "prompt too long", body: ask(m{"messages": []any{m{"role": "user", "content": strings.Repeat("word ", 110_000)}}}), status: 400, code: "context_length_exceeded"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := start(t, openai.Options{})
			for k, v := range tc.header {
				c.header.Set(k, v)
			}
			c.api.Script(openai.Behaviour{Kind: openai.NotJSON})
			g := c.chat(tc.body)
			require.Equal(t, tc.status, g.status, g.text)
			if tc.status == 200 {
				return
			}
			e := g.apiError(t)
			require.Equal(t, "invalid_request_error", e["type"])
			require.Contains(t, e, "param")
			if tc.code != "" {
				require.Equal(t, tc.code, e["code"])
			}
			require.Contains(t, e["message"], tc.message)
			c.header.Set("Authorization", "Bearer sk-test")
			c.header.Set("Content-Type", "application/json")
			content, _, _ := c.chat(ask()).choice(t)
			require.Contains(t, content, "Sure!", "a refused request uses no behaviour up")
		})
	}
}

func TestReasoningModelTakesSamplingWithoutEffort(t *testing.T) {
	t.Parallel()
	c := start(t, openai.Options{})
	require.Equal(t, 200, c.chat(ask(m{"model": "gpt-6-luna", "temperature": 0.2, "reasoning_effort": "none"})).status)
	require.Equal(t, 200, c.chat(ask(m{"model": "gpt-6-luna", "temperature": 1, "max_completion_tokens": 400})).status)
}

func TestModelsRetireByTheClock(t *testing.T) {
	t.Parallel()
	now := today()
	c := start(t, openai.Options{Clock: func() time.Time { return now }})
	require.Equal(t, 200, c.chat(ask()).status)
	require.Equal(t, "2027-01-14", c.do("GET", "/v1/models/gpt-4o-mini", nil).json["shutdown_date"])
	require.Contains(t, c.do("GET", "/v1/models", nil).text, `"gpt-4o-mini"`)
	require.NotContains(t, c.do("GET", "/v1/models", nil).text, `"gpt-4.1-nano"`)
	now = time.Date(2027, 1, 14, 0, 0, 0, 0, time.UTC)
	require.Equal(t, 404, c.chat(ask()).status)
	require.Equal(t, 404, c.do("GET", "/v1/models/gpt-4o-mini", nil).status)
	require.NotContains(t, c.do("GET", "/v1/models", nil).text, `"gpt-4o-mini"`)
	require.Equal(t, 404, c.do("GET", "/v1/nothing", nil).status)
}

func TestArgumentsALocalServerRefuses(t *testing.T) {
	t.Parallel()
	c := start(t, openai.Options{Refuse: []string{"response_format"}})
	require.Equal(t, 400, c.chat(ask(strict(noteSchema()))).status)
	require.Equal(t, 200, c.chat(ask()).status)
}

func TestErrorStyles(t *testing.T) {
	t.Parallel()
	for style, want := range map[openai.ErrorStyle]string{
		openai.Standard: `{"error":{"code":"invalid_api_key","message":"Incorrect API key provided.","param":null,"type":"invalid_request_error"}}`,
		openai.Flat:     `{"code":401,"message":"Incorrect API key provided.","object":"error","param":null,"type":"invalid_request_error"}`,
		openai.Plain:    `{"error":"Incorrect API key provided."}`,
	} {
		c := start(t, openai.Options{Errors: style})
		c.header.Set("Authorization", "Bearer no")
		require.JSONEq(t, want, c.chat(ask()).text)
	}
}

func TestCheckStrict(t *testing.T) {
	t.Parallel()
	text := m{"type": "string"}
	deep := m{"type": "object", "additionalProperties": false}
	for range 11 {
		deep = object(m{"next": deep})
	}
	for _, tc := range []struct {
		name   string
		schema any
		want   string // "" is accepted
	}{
		{"a good one", noteSchema(), ""},
		{"as text", `{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}`, ""},
		{"unions and references", m{
			"type": "object", "additionalProperties": false, "required": []string{"a", "b"},
			"properties": m{"a": m{"anyOf": []any{text, m{"type": "null"}}}, "b": m{"$ref": "#/$defs/b"}},
			"$defs":      m{"b": object(m{"again": m{"anyOf": []any{m{"$ref": "#"}, m{"type": "null"}}}})},
		}, ""},
		{"number and array limits", object(m{
			"n": m{"type": "number", "minimum": 0, "maximum": 1},
			"l": m{"type": "array", "items": text, "minItems": 1, "maxItems": 3},
		}), ""},
		{"nothing", nil, "'type: \"object\"'"},
		{"no JSON", "{", "not JSON"},
		{"root array", m{"type": "array", "items": text}, "'type: \"object\"'"},
		{"root union", m{"type": "object", "anyOf": []any{text}}, "must not be an 'anyOf'"},
		{"open object", m{"type": "object", "properties": m{"a": text}, "required": []string{"a"}}, "In context=(), 'additionalProperties'"},
		{"open object inside", object(m{"a": m{"type": "object", "properties": m{}}}), "In context=('properties', 'a'), 'additionalProperties'"},
		{"open object in a list", object(m{"a": m{"type": "array", "items": m{"type": "object"}}}), "('properties', 'a', 'items')"},
		{"open object in a definition", m{"type": "object", "additionalProperties": false, "$defs": m{"x": m{"type": "object"}}}, "'$defs', 'x'"},
		{"optional property", m{"type": "object", "additionalProperties": false, "properties": m{"a": text, "b": text}, "required": []string{"a"}}, "Missing 'b'"},
		{"no required", m{"type": "object", "additionalProperties": false, "properties": m{"a": text}}, "'required'"},
		{"required unknown", m{"type": "object", "additionalProperties": false, "properties": m{}, "required": []string{"a"}}, "not in properties"},
		{"maxLength", object(m{"a": m{"type": "string", "maxLength": 5}}), "'maxLength' is not permitted"},
		{"minLength", object(m{"a": m{"type": "string", "minLength": 5}}), "'minLength' is not permitted"},
		{"uniqueItems", object(m{"a": m{"type": "array", "items": text, "uniqueItems": true}}), "'uniqueItems' is not permitted"},
		{"default", object(m{"a": m{"type": "string", "default": "x"}}), "'default' is not permitted"},
		{"oneOf", object(m{"a": m{"oneOf": []any{text}}}), "'oneOf' is not permitted"},
		{"allOf", object(m{"a": m{"allOf": []any{text}}}), "'allOf' is not permitted"},
		{"no items", object(m{"a": m{"type": "array"}}), "missing items"},
		{"no type", object(m{"a": m{"description": "x"}}), "must have a 'type' key"},
		{"unknown type", object(m{"a": m{"type": "text"}}), "not a valid type"},
		{"unknown format", object(m{"a": m{"type": "string", "format": "uri"}}), "not a valid format"},
		{"empty enum", object(m{"a": m{"type": "string", "enum": []any{}}}), "'enum'"},
		{"dangling reference", object(m{"a": m{"$ref": "#/$defs/none"}}), "cannot be resolved"},
		{"too deep", deep, "levels of nesting"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got := openai.CheckStrict(tc.schema)
			if tc.want == "" {
				require.Empty(t, got)
			} else {
				require.Contains(t, got, tc.want)
			}
		})
	}
}
