package synthesis

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/packages/param"
	"github.com/openai/openai-go/v3/shared"
)

// Call is the record of one request to the model, for history, cost and metrics.
type Call struct {
	Model   string  `json:"model"`
	Outcome Outcome `json:"outcome"`
	// Status is the HTTP status, 0 when there was no answer.
	Status int `json:"status,omitempty"`
	Usage
	Duration time.Duration `json:"duration"`
	CostUSD  float64       `json:"cost_usd"`
	// PriceDate is the day from which the price holds; empty when the cost is unknown.
	PriceDate string `json:"price_date,omitempty"`
}

// profile is what a server was found to refuse for a model. It starts at what OpenAI takes.
type profile struct {
	plainJSON    bool // no json_schema: response_format is json_object, and the prompt spells the shape out
	noFormat     bool // no json_object either
	oldMaxTokens bool // max_tokens instead of max_completion_tokens
	noMaxTokens  bool // neither of the two
	noEffort     bool
}

// adapt gives up what the server refused; it is false when there is nothing left to give up.
func (p *profile) adapt(o Outcome, said string) bool {
	switch {
	case o == OutcomeSchemaRefused && !p.plainJSON:
		p.plainJSON = true
	case o == OutcomeSchemaRefused && !p.noFormat:
		p.noFormat = true
	case o == OutcomeParameterRefused && strings.Contains(said, "reasoning_effort") && !p.noEffort:
		p.noEffort = true
	case o == OutcomeParameterRefused && !p.oldMaxTokens:
		p.oldMaxTokens = true
	case o == OutcomeParameterRefused && !p.noMaxTokens:
		p.noMaxTokens = true
	default:
		return false
	}
	return true
}

// reply is what came back from one call.
type reply struct {
	call       Call
	content    string
	said       string // what the error said, in lower case
	retryAfter time.Duration
}

const (
	maxErrorBody = 64 << 10
	maxReplyBody = 2 << 20
)

// ask makes one call. The SDK's retries are off: this client counts its attempts itself.
func (c *Client) ask(ctx context.Context, model string, pr prompt, prof profile) reply {
	var seen response
	attempt, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	began := c.now()
	completion, err := c.completions.New(attempt, c.params(model, pr, prof), option.WithMiddleware(seen.watch))
	r := reply{call: Call{Model: model, Status: seen.status, Duration: c.now().Sub(began)}, retryAfter: retryAfter(seen.header, c.now())}
	switch {
	case ctx.Err() != nil:
		r.call.Outcome = OutcomeCancelled
	case err != nil:
		p := readProblem(seen.failure)
		r.said = p.code + " " + p.param + " " + p.message
		r.call.Outcome = classify(seen.status, p, err)
		if attempt.Err() != nil && r.call.Outcome == OutcomeNetwork {
			r.call.Outcome = OutcomeTimeout
		}
	default:
		r.content, r.call.Outcome = readCompletion(completion)
		u := completion.Usage
		r.call.Usage = Usage{PromptTokens: u.PromptTokens, CachedTokens: u.PromptTokensDetails.CachedTokens, CompletionTokens: u.CompletionTokens}
		r.call.CostUSD, r.call.PriceDate = r.call.Cost(model, c.now())
	}
	return r
}

// response is what the SDK's errors do not tell, or tell only of OpenAI's own servers.
type response struct {
	status  int
	header  http.Header
	failure []byte
}

// watch keeps status, headers and the body of an error, and bounds what is read of an answer.
func (s *response) watch(req *http.Request, next option.MiddlewareNext) (*http.Response, error) {
	res, err := next(req)
	if err != nil {
		return res, err
	}
	s.status, s.header = res.StatusCode, res.Header
	body := res.Body
	if s.status >= http.StatusMultipleChoices {
		s.failure, _ = io.ReadAll(io.LimitReader(body, maxErrorBody))
		_ = body.Close()
		res.Body = io.NopCloser(bytes.NewReader(s.failure))
		return res, nil
	}
	res.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(body, maxReplyBody), body}
	return res, nil
}

func (c *Client) params(model string, pr prompt, prof profile) openai.ChatCompletionNewParams {
	p := openai.ChatCompletionNewParams{
		Model:    model,
		Messages: []openai.ChatCompletionMessageParamUnion{openai.SystemMessage(pr.system), openai.UserMessage(pr.user)},
	}
	switch {
	case prof.noMaxTokens:
	case prof.oldMaxTokens:
		p.MaxTokens = param.NewOpt(int64(c.cfg.MaxOutputTokens))
	default:
		p.MaxCompletionTokens = param.NewOpt(int64(c.cfg.MaxOutputTokens))
	}
	if c.cfg.ReasoningEffort != "" && !prof.noEffort {
		p.ReasoningEffort = shared.ReasoningEffort(c.cfg.ReasoningEffort)
	}
	switch {
	case prof.noFormat:
	case prof.plainJSON:
		p.ResponseFormat.OfJSONObject = &shared.ResponseFormatJSONObjectParam{}
	default:
		p.ResponseFormat.OfJSONSchema = &shared.ResponseFormatJSONSchemaParam{JSONSchema: shared.ResponseFormatJSONSchemaJSONSchemaParam{
			Name: schemaName, Strict: param.NewOpt(true), Schema: answerSchema(),
		}}
	}
	return p
}

// readCompletion returns the text of an answer that claims to be whole.
func readCompletion(completion *openai.ChatCompletion) (string, Outcome) {
	if completion == nil || len(completion.Choices) == 0 {
		return "", OutcomeInvalid
	}
	choice := completion.Choices[0]
	switch {
	case choice.Message.Refusal != "" || choice.FinishReason == "content_filter":
		return "", OutcomeRefused
	case choice.FinishReason == "length":
		return "", OutcomeTruncated
	case strings.TrimSpace(choice.Message.Content) == "":
		return "", OutcomeInvalid
	}
	return choice.Message.Content, OutcomeOK
}

// retryAfter reads the time that a server asks us to wait; zero when it says nothing.
func retryAfter(h http.Header, now time.Time) time.Duration {
	if ms, err := strconv.ParseFloat(h.Get("Retry-After-Ms"), 64); err == nil && ms > 0 {
		return time.Duration(ms * float64(time.Millisecond))
	}
	v := h.Get("Retry-After")
	if s, err := strconv.ParseFloat(v, 64); err == nil && s > 0 {
		return time.Duration(min(s, 86400) * float64(time.Second))
	}
	if t, err := http.ParseTime(v); err == nil {
		return max(0, t.Sub(now))
	}
	return 0
}
