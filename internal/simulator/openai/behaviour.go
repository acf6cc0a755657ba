package openai

import (
	"cmp"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Kind names a behaviour.
type Kind string

// The behaviours. All but the errors are HTTP 200.
const (
	Good          Kind = "good"
	RateLimited   Kind = "rate_limited"   // 429 rate_limit_exceeded, Retry-After (default 1 s)
	OutOfQuota    Kind = "out_of_quota"   // 429 insufficient_quota, no Retry-After
	ServerError   Kind = "server_error"   // 500 (or Status)
	Overloaded    Kind = "overloaded"     // 503 server_is_overloaded
	Forbidden     Kind = "forbidden"      // 403 unsupported_country_region_territory
	Stall         Kind = "stall"          // no answer until the caller leaves
	Cut           Kind = "cut"            // connection closed without an answer
	HalfAnswer    Kind = "half_answer"    // connection closed in mid answer
	SlowDrip      Kind = "slow_drip"      // answer sent one byte per Delay
	Truncated     Kind = "truncated"      // finish_reason length, content cut in half
	ContentFilter Kind = "content_filter" // finish_reason content_filter, no content
	Refusal       Kind = "refusal"        // refusal instead of content
	NotJSON       Kind = "not_json"       // prose
	SchemaEcho    Kind = "schema_echo"    // the schema instead of an instance of it
	StringForList Kind = "string_for_list"
	Fenced        Kind = "fenced"        // the right JSON inside a Markdown fence
	Invented      Kind = "invented"      // hosts, ids, addresses and links that no evidence has
	HTMLPage      Kind = "html_page"     // a proxy's page
	EmptyChoices  Kind = "empty_choices" // choices: []
	EmptyContent  Kind = "empty_content" // content: ""
	NoUsage       Kind = "no_usage"      // good, without usage
	ZeroUsage     Kind = "zero_usage"    // good, with usage 0
	Garbage       Kind = "garbage"       // bytes that are no JSON, declared as JSON
)

// Behaviour is what the server does with one request.
type Behaviour struct {
	Kind Kind // default Good
	// Content replaces what Respond would write.
	Content string
	// Delay is waited before the answer, or between bytes with SlowDrip.
	Delay      time.Duration
	RetryAfter time.Duration
	Status     int
}

// The names Invented uses, so that tests can look for them.
const (
	InventedHost    = "db99.invented.example"
	InventedAddress = "203.0.113.66"
	InventedTicket  = "TCK-999999"
	InventedLink    = "https://invented.example/fix"
)

// Script appends behaviours for the next requests, one each. A request that is
// refused before it gets here uses none up.
func (s *Server) Script(b ...Behaviour) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = append(s.queue, b...)
}

// ScriptModel is Script for requests to one model; it goes before Script.
func (s *Server) ScriptModel(model string, b ...Behaviour) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.byModel[model] = append(s.byModel[model], b...)
}

// Always sets the behaviour for requests that nothing is scripted for; it goes before
// Options.Behave.
func (s *Server) Always(b Behaviour) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.always = &b
}

// Reset forgets everything scripted.
func (s *Server) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue, s.byModel, s.always = nil, map[string][]Behaviour{}, nil
}

// next takes the behaviour for a request: its model's, the next in line, the standing one.
func (s *Server) next(r Request) Behaviour {
	s.mu.Lock()
	defer s.mu.Unlock()
	if q := s.byModel[r.Model]; len(q) > 0 {
		s.byModel[r.Model] = q[1:]
		return q[0]
	}
	if len(s.queue) > 0 {
		b := s.queue[0]
		s.queue = s.queue[1:]
		return b
	}
	if s.always != nil {
		return *s.always
	}
	return Behaviour{}
}

// chat judges first and misbehaves second, so that a scripted fault never hides a
// request the real API would have refused.
func (s *Server) chat(c *call) *answer {
	r, refused := s.parse(c.body)
	if refused != nil {
		return refused
	}
	b := s.next(r)
	if b == (Behaviour{}) && s.opts.Behave != nil {
		b = s.opts.Behave(r)
	}
	b.Kind = cmp.Or(b.Kind, Good)
	s.note(c, func(rec *Record) { rec.Model, rec.Prompt, rec.Behaviour = r.Model, r.Prompt(), b.Kind })
	delay := b.Delay
	if b.Kind == SlowDrip {
		delay = 0
	}
	if s.opts.Latency != nil {
		delay += s.opts.Latency(r)
	}
	if b.Kind == Stall {
		delay = -1
	}
	if !s.wait(c.Context(), delay) {
		return &answer{cut: true}
	}
	return s.behave(r, b)
}

// behave answers with an error, a broken transport or a completion.
func (s *Server) behave(r Request, b Behaviour) *answer {
	switch b.Kind {
	case RateLimited:
		a := s.refuse(http.StatusTooManyRequests, apiError{
			message: "Rate limit reached for " + r.Model + ".", kind: "requests", code: "rate_limit_exceeded",
		})
		wait := cmp.Or(b.RetryAfter, time.Second)
		a.header = map[string]string{
			"Retry-After": strconv.Itoa(int((wait + time.Second - 1) / time.Second)), "X-Ratelimit-Remaining-Requests": "0",
			"X-Ratelimit-Limit-Requests": "500", "X-Ratelimit-Reset-Requests": wait.String(),
		}
		return a
	case OutOfQuota:
		return s.refuse(http.StatusTooManyRequests, apiError{
			message: "You exceeded your current quota, please check your plan and billing details.",
			kind:    "insufficient_quota", code: "insufficient_quota",
		})
	case ServerError:
		return s.refuse(cmp.Or(b.Status, http.StatusInternalServerError), apiError{
			message: "The server had an error while processing your request.", kind: "server_error",
		})
	case Overloaded:
		return s.refuse(http.StatusServiceUnavailable, apiError{
			message: "The engine is currently overloaded, please try again later.", kind: "server_error", code: "server_is_overloaded",
		})
	case Forbidden:
		return s.refuse(http.StatusForbidden, apiError{
			message: "Country, region, or territory not supported", kind: "request_forbidden", code: "unsupported_country_region_territory",
		})
	case Cut:
		return &answer{cut: true}
	case HTMLPage:
		return &answer{status: http.StatusOK, mime: "text/html", body: []byte("<html><body><h1>Sign in to the network</h1></body></html>")}
	case Garbage:
		return &answer{status: http.StatusOK, mime: "application/json", body: []byte("\x00\xff{]]]\x1b[0m\xc3(")}
	}
	a := s.complete(r, b)
	a.half = b.Kind == HalfAnswer
	if b.Kind == SlowDrip {
		a.drip = cmp.Or(b.Delay, time.Second)
	}
	return a
}

// complete builds a completion; b.Kind decides what is wrong with it.
func (s *Server) complete(r Request, b Behaviour) *answer {
	content := b.Content
	if content == "" {
		content = s.opts.Respond(r)
	}
	finish, refusal := "stop", any(nil)
	switch b.Kind {
	case Truncated:
		content, finish = content[:len(content)/2], "length"
	case ContentFilter:
		content, finish = "", "content_filter"
	case Refusal:
		refusal, content = cmp.Or(b.Content, "I'm sorry, but I can't help with that."), ""
	case NotJSON:
		content = cmp.Or(b.Content, "Sure! Restarting the service usually helps. Let me know how it goes.")
	case SchemaEcho:
		content = mustJSON(r.Schema)
	case StringForList:
		content = listsAsText(content)
	case Fenced:
		content = "Here is the result:\n```json\n" + content + "\n```\n"
	case Invented:
		content = invent(content, r.Schema)
	case EmptyContent:
		content = ""
	}
	if used := tokens(content); r.MaxTokens > 0 && used > r.MaxTokens {
		content, finish = strings.ToValidUTF8(content[:r.MaxTokens*4], ""), "length"
	}
	message := map[string]any{"role": "assistant", "content": orNull(content), "refusal": refusal}
	if b.Kind == EmptyContent {
		message["content"] = ""
	}
	choices := []any{map[string]any{"index": 0, "message": message, "logprobs": nil, "finish_reason": finish}}
	if b.Kind == EmptyChoices {
		choices = []any{}
	}
	v := map[string]any{
		"id": "chatcmpl-sim", "object": "chat.completion", "created": s.opts.Clock().Unix(), "model": r.Model,
		"choices": choices, "usage": usage(r, content, b.Kind), "service_tier": "default",
	}
	if b.Kind == NoUsage {
		delete(v, "usage")
	}
	a := jsonAnswer(http.StatusOK, v)
	a.header = map[string]string{"X-Ratelimit-Limit-Requests": "500", "X-Ratelimit-Remaining-Requests": "499", "X-Ratelimit-Reset-Requests": "120ms"}
	return a
}

// usage follows the length of the texts; a few tokens a message for its frame.
func usage(r Request, content string, k Kind) map[string]any {
	in, out := tokens(r.Prompt())+4*len(r.Messages), tokens(content)
	if k == ZeroUsage {
		in, out = 0, 0
	}
	return map[string]any{
		"prompt_tokens": in, "completion_tokens": out, "total_tokens": in + out,
		"prompt_tokens_details":     map[string]any{"cached_tokens": 0, "audio_tokens": 0},
		"completion_tokens_details": map[string]any{"reasoning_tokens": 0, "audio_tokens": 0},
	}
}

func mustJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return "null"
	}
	return string(b)
}
