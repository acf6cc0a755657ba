package openai

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Request is a chat completion that passed every check.
type Request struct {
	Model    string
	Messages []Message
	// Schema is the JSON schema asked for; nil without one.
	Schema map[string]any
	// SchemaName is json_schema.name.
	SchemaName string
	// JSON is set when the answer has to be JSON, with a schema or without.
	JSON      bool
	MaxTokens int // 0 is no limit
	Effort    string
	Raw       []byte
}

// Message is one chat message; parts of text are joined.
type Message struct{ Role, Content string }

// Prompt is the text of all messages.
func (r Request) Prompt() string { return r.text(func(string) bool { return true }) }

// User is the text of the user messages, where the evidence is.
func (r Request) User() string { return r.text(func(role string) bool { return role == "user" }) }

func (r Request) text(want func(role string) bool) string {
	var parts []string
	for _, m := range r.Messages {
		if want(m.Role) {
			parts = append(parts, m.Content)
		}
	}
	return strings.Join(parts, "\n\n")
}

// arguments are the top-level names of a chat completion.
var arguments = []string{
	"messages", "model", "audio", "frequency_penalty", "function_call", "functions", "logit_bias", "logprobs",
	"max_completion_tokens", "max_tokens", "metadata", "modalities", "n", "parallel_tool_calls", "prediction",
	"presence_penalty", "prompt_cache_key", "prompt_cache_retention", "reasoning_effort", "response_format",
	"safety_identifier", "seed", "service_tier", "stop", "store", "stream", "stream_options", "temperature",
	"tool_choice", "tools", "top_logprobs", "top_p", "user", "verbosity", "web_search_options",
}

// notPlayed are known to the real API and refused here, so that no test leans on them.
var notPlayed = []string{"audio", "functions", "function_call", "modalities", "prediction", "tools", "tool_choice", "web_search_options"}

var (
	roles   = []string{"system", "developer", "user", "assistant", "tool", "function"}
	efforts = []string{"none", "minimal", "low", "medium", "high", "xhigh", "max"}
	naming  = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)
)

// rawRequest is the wire form; pointers tell absent from zero.
type rawRequest struct {
	Model          string            `json:"model"`
	Messages       []json.RawMessage `json:"messages"`
	MaxTokens      *int              `json:"max_tokens"`
	MaxCompletion  *int              `json:"max_completion_tokens"`
	Effort         *string           `json:"reasoning_effort"`
	Temperature    *float64          `json:"temperature"`
	TopP           *float64          `json:"top_p"`
	N              *int              `json:"n"`
	Stream         bool              `json:"stream"`
	ResponseFormat json.RawMessage   `json:"response_format"`
}

// parse checks a chat completion in the order of the real API: arguments, model,
// messages, response format, length.
func (s *Server) parse(body []byte) (Request, *answer) {
	var names map[string]json.RawMessage
	if json.Unmarshal(body, &names) != nil {
		return Request{}, s.invalid("", "", "We could not parse the JSON body of your request.")
	}
	if refused := s.checkNames(names); refused != nil {
		return Request{}, refused
	}
	var raw rawRequest
	if err := json.Unmarshal(body, &raw); err != nil {
		return Request{}, s.invalid("", "invalid_type", "Invalid type: %s", err)
	}
	m, refused := s.model(raw.Model)
	if refused != nil {
		return Request{}, refused
	}
	r := Request{Model: m.ID, Raw: body}
	for _, check := range []func() *answer{
		func() *answer { return s.checkSampling(m, raw, names) },
		func() *answer { return s.readLimits(m, raw, &r) },
		func() *answer { return s.readMessages(raw.Messages, &r) },
		func() *answer { return s.readFormat(raw.ResponseFormat, &r) },
		func() *answer { return s.checkLength(m, r) },
	} {
		if refused := check(); refused != nil {
			return Request{}, refused
		}
	}
	return r, nil
}

// checkNames refuses misspelt arguments instead of ignoring them.
func (s *Server) checkNames(names map[string]json.RawMessage) *answer {
	for name := range names {
		switch {
		case !slices.Contains(arguments, name) || slices.Contains(s.opts.Refuse, name):
			return s.invalid("", "", "Unrecognized request argument supplied: %s", name)
		case slices.Contains(notPlayed, name):
			return s.invalid(name, "unsupported_parameter", "The simulator does not play '%s'.", name)
		}
	}
	return nil
}

// checkSampling refuses arguments the model does not take. Reasoning models take
// sampling arguments only with effort none.
func (s *Server) checkSampling(m Model, raw rawRequest, names map[string]json.RawMessage) *answer {
	if m.Embedding > 0 {
		return s.refuse(404, apiError{
			message: "This is not a chat model and thus not supported in the v1/chat/completions endpoint.",
			kind:    invalidRequest, param: "model",
		})
	}
	if raw.Stream {
		return s.invalid("stream", "unsupported_value", "The simulator does not stream.")
	}
	if raw.N != nil && *raw.N != 1 {
		return s.invalid("n", "unsupported_value", "The simulator gives one choice.")
	}
	if !m.Reasoning {
		if raw.Effort != nil {
			return s.invalid("", "", "Unrecognized request argument supplied: reasoning_effort")
		}
		if t := raw.Temperature; t != nil && (*t < 0 || *t > 2) {
			return s.invalid("temperature", "decimal_above_max_value", "Invalid 'temperature': expected a value between 0 and 2.")
		}
		return nil
	}
	if raw.Effort != nil && *raw.Effort == "none" {
		return nil
	}
	for name, value := range map[string]*float64{"temperature": raw.Temperature, "top_p": raw.TopP} {
		if value != nil && *value != 1 {
			return s.invalid(name, "unsupported_value",
				"Unsupported value: '%s' does not support %v with this model. Only the default (1) value is supported.", name, *value)
		}
	}
	for _, name := range []string{"presence_penalty", "frequency_penalty", "logprobs", "top_logprobs", "logit_bias"} {
		if _, sent := names[name]; sent {
			return s.invalid(name, "unsupported_parameter", "Unsupported parameter: '%s' is not supported with this model.", name)
		}
	}
	return nil
}

// readLimits takes max_tokens for plain models only.
func (s *Server) readLimits(m Model, raw rawRequest, r *Request) *answer {
	if raw.Effort != nil {
		if !slices.Contains(efforts, *raw.Effort) {
			return s.invalid("reasoning_effort", "invalid_value", "Invalid value: '%s'. Supported values are: %s.", *raw.Effort, quoted(efforts))
		}
		r.Effort = *raw.Effort
	}
	limit := raw.MaxCompletion
	if raw.MaxTokens != nil {
		if m.Reasoning {
			return s.invalid("max_tokens", "unsupported_parameter",
				"Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.")
		}
		if limit != nil {
			return s.invalid("max_tokens", "invalid_parameter_combination", "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.")
		}
		limit = raw.MaxTokens
	}
	if limit != nil {
		if *limit < 1 {
			return s.invalid("max_completion_tokens", "integer_below_min_value", "Invalid 'max_completion_tokens': expected a value >= 1.")
		}
		r.MaxTokens = *limit
	}
	return nil
}

// readMessages checks roles and takes text only.
func (s *Server) readMessages(raw []json.RawMessage, r *Request) *answer {
	if len(raw) == 0 {
		return s.invalid("messages", "empty_array", "Invalid 'messages': empty array. Expected an array with minimum length 1.")
	}
	for i, item := range raw {
		var m struct {
			Role    string          `json:"role"`
			Content json.RawMessage `json:"content"`
		}
		if json.Unmarshal(item, &m) != nil {
			return s.invalid(fmt.Sprintf("messages[%d]", i), "invalid_type", "Invalid type for 'messages[%d]': expected an object.", i)
		}
		if !slices.Contains(roles, m.Role) {
			return s.invalid(fmt.Sprintf("messages[%d].role", i), "invalid_value",
				"Invalid value: '%s'. Supported values are: %s.", m.Role, quoted(roles))
		}
		content, ok := textOf(m.Content)
		if !ok {
			return s.invalid(fmt.Sprintf("messages[%d].content", i), "invalid_type",
				"Invalid value for 'content': expected a string or an array of text parts.")
		}
		r.Messages = append(r.Messages, Message{m.Role, content})
	}
	return nil
}

// textOf joins text parts; other kinds of parts are refused.
func textOf(raw json.RawMessage) (string, bool) {
	var text string
	if json.Unmarshal(raw, &text) == nil && string(raw) != "null" {
		return text, true
	}
	var parts []struct{ Type, Text string }
	if json.Unmarshal(raw, &parts) != nil || len(parts) == 0 {
		return "", false
	}
	for _, p := range parts {
		if p.Type != "text" {
			return "", false
		}
		text += p.Text
	}
	return text, true
}

// readFormat checks the schema only under strict, which is when the real API does.
func (s *Server) readFormat(raw json.RawMessage, r *Request) *answer {
	if len(raw) == 0 || string(raw) == "null" {
		return nil
	}
	var f struct {
		Type   string `json:"type"`
		Schema *struct {
			Name   string         `json:"name"`
			Strict *bool          `json:"strict"`
			Schema map[string]any `json:"schema"`
		} `json:"json_schema"`
	}
	if json.Unmarshal(raw, &f) != nil {
		return s.invalid("response_format", "invalid_type", "Invalid type for 'response_format'.")
	}
	switch f.Type {
	case "text":
	case "json_object":
		if !strings.Contains(strings.ToLower(r.Prompt()), "json") {
			return s.invalid("messages", "", "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.")
		}
		r.JSON = true
	case "json_schema":
		if f.Schema == nil {
			return s.invalid("response_format.json_schema", "missing_required_parameter", "Missing required parameter: 'response_format.json_schema'.")
		}
		if f.Schema.Name == "" {
			return s.invalid("response_format.json_schema.name", "missing_required_parameter", "Missing required parameter: 'response_format.json_schema.name'.")
		}
		if !naming.MatchString(f.Schema.Name) {
			return s.invalid("response_format.json_schema.name", "invalid_value", "Invalid 'response_format.json_schema.name': string does not match pattern.")
		}
		if f.Schema.Strict != nil && *f.Schema.Strict {
			if why := checkStrict(f.Schema.Schema); why != "" {
				return s.invalid("response_format", "", "Invalid schema for response_format '%s': %s", f.Schema.Name, why)
			}
		}
		r.JSON, r.Schema, r.SchemaName = true, f.Schema.Schema, f.Schema.Name
	default:
		return s.invalid("response_format.type", "invalid_value", "Invalid value: '%s'. Supported values are: 'json_object', 'json_schema', and 'text'.", f.Type)
	}
	return nil
}

// checkLength estimates, so it refuses a little late or early near the limit.
func (s *Server) checkLength(m Model, r Request) *answer {
	if used := tokens(r.Prompt()); m.Context > 0 && used > m.Context {
		return s.invalid("messages", "context_length_exceeded",
			"This model's maximum context length is %d tokens. However, your messages resulted in %d tokens.", m.Context, used)
	}
	return nil
}

func quoted(values []string) string { return "'" + strings.Join(values, "', '") + "'" }

// tokens estimates as is usual for English text: four bytes a token.
func tokens(text string) int { return (len(text) + 3) / 4 }
