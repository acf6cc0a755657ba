package synthesis

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"aiagents/modules/enhancement/evidence"
)

// Client asks an OpenAI-compatible server. It is safe for concurrent use, and meant to live as long as the process, because
// it remembers which models are gone, what the server refuses, and whether it is worth asking at all.
type Client struct {
	cfg         Config
	completions openai.ChatCompletionService
	breaker     *breaker
	now         func() time.Time

	mu       sync.Mutex
	profiles map[string]profile
	retired  map[string]time.Time // until when a model is skipped
}

// New returns a client. Without a model or key it is valid, and every answer is facts-only. The clock may be nil.
func New(cfg Config, now func() time.Time) (*Client, error) {
	if now == nil {
		now = time.Now
	}
	cfg = cfg.withDefaults()
	httpClient, err := cfg.httpClient()
	if err != nil {
		return nil, err
	}
	// The service is built without openai.NewClient, which would read key, address and headers from the environment.
	opts := []option.RequestOption{option.WithHTTPClient(httpClient), option.WithBaseURL(strings.TrimRight(cfg.BaseURL, "/") + "/"), option.WithMaxRetries(0)}
	if cfg.APIKey.IsSet() {
		opts = append(opts, option.WithAPIKey(cfg.APIKey.Reveal()))
	}
	if cfg.Organization != "" {
		opts = append(opts, option.WithOrganization(cfg.Organization))
	}
	if cfg.Project != "" {
		opts = append(opts, option.WithProject(cfg.Project))
	}
	for name, value := range cfg.Headers {
		opts = append(opts, option.WithHeader(name, value))
	}
	return &Client{
		cfg: cfg, completions: openai.NewChatCompletionService(opts...), now: now,
		breaker:  &breaker{limit: cfg.BreakerFailures, cooldown: cfg.BreakerCooldown, now: now},
		profiles: map[string]profile{}, retired: map[string]time.Time{},
	}, nil
}

// Configured reports whether there is a model to ask.
func (c *Client) Configured() bool { return c.cfg.configured() }

// Options are the wishes of the tenant for one answer.
type Options struct {
	// Language is a two-letter code: en, de, fr, es, nl; others are answered in English.
	Language string
	// MaxWords is the size of the note that the answer goes into; 0 and more than 500 mean 500.
	MaxWords int
	// Model is asked before the configured ones; empty leaves those.
	Model string
}

// Result is an answer and how it came about.
type Result struct {
	Answer evidence.Answer `json:"answer"`
	Calls  []Call          `json:"calls,omitempty"`
	// Model is the one that gave the answer; empty when facts-only.
	Model string `json:"model,omitempty"`
	// Hidden counts what was cleaned out of the evidence before it was sent.
	Hidden evidence.Hidden `json:"hidden"`
	// Masked counts placeholders by kind. Drops are the pieces of the answer that the evidence did not cover.
	Masked map[string]int `json:"masked,omitempty"`
	Drops  []Drop         `json:"drops,omitempty"`
	// RetiredModels were asked and are unknown to the server.
	RetiredModels []string `json:"retired_models,omitempty"`
}

// Synthesise returns an answer for the bundle, from a model if one is configured, in reach and truthful, and by rules
// otherwise: Answer.Mode and Answer.Reason tell. The only error is that of an ended context; the calls made so far come with
// it, because they cost money.
func (c *Client) Synthesise(ctx context.Context, b evidence.Bundle, opts Options) (Result, error) {
	b, hidden := evidence.Clean(b)
	result := Result{Hidden: hidden}
	reason, ask := evidence.ReasonNotConfigured, c.Configured()
	if ask && !hasEvidence(b) {
		reason, ask = evidence.ReasonNoEvidence, false
	}
	if ask {
		reason, ask = c.breaker.allow()
	}
	if ask {
		conv := &conversation{client: c, bundle: b, opts: opts, budget: c.cfg.MaxInputTokens, names: newPseudonyms(b, c.cfg.KeepHosts, c.cfg.KeepAddresses)}
		var d draft
		d, reason = conv.run(ctx)
		result.Calls, result.Masked, result.RetiredModels = conv.calls, conv.names.counts, conv.retired
		if ctx.Err() != nil {
			c.breaker.release()
			return result, fmt.Errorf("ask the model: %w", ctx.Err())
		}
		c.tellBreaker(reason)
		if reason == "" {
			g := newGround(b, c.cfg.AllowedURLHosts)
			answer, ok := g.answer(conv.names.restoreDraft(d))
			result.Drops = g.drops
			if ok {
				answer.Confidence = answerConfidence(b, answer, len(g.drops))
				result.Answer, result.Model = answer, conv.calls[len(conv.calls)-1].Model
				return result, nil
			}
			reason = evidence.ReasonUngrounded
		}
	}
	result.Answer = FactsOnly(b, reason)
	return result, nil
}

// tellBreaker counts only what says that the server is of no use now. A bad answer says nothing about the next ticket's.
func (c *Client) tellBreaker(reason evidence.Reason) {
	switch reason {
	case evidence.ReasonUnavailable, evidence.ReasonRateLimited, evidence.ReasonBilling, evidence.ReasonCredentials, evidence.ReasonRetired:
		c.breaker.failure(reason)
	default:
		c.breaker.success()
	}
}

func (c *Client) profile(model string) profile {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.profiles[model]
}

func (c *Client) retire(model string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.retired[model] = c.now().Add(retiredFor)
}

// usableModels are the preferred model, if any, and the configured ones behind it. Models that were unknown to the server a
// short while ago are left out; if that leaves none, all are tried.
func (c *Client) usableModels(preferred string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := append([]string{preferred}, slices.DeleteFunc(c.cfg.models(), func(m string) bool { return m == preferred })...)
	all = slices.DeleteFunc(all, func(m string) bool { return m == "" })
	usable := slices.DeleteFunc(slices.Clone(all), func(m string) bool { return c.now().Before(c.retired[m]) })
	if len(usable) == 0 {
		return all
	}
	return usable
}

// Hide replaces in a text what the model may not see, as in the prompt for a bundle: credentials, personal data, and hosts and
// addresses unless they are to be kept. Texts that go to another server, such as one for embeddings, go through it too.
func (c *Client) Hide(b evidence.Bundle, text string) string {
	return newPseudonyms(b, c.cfg.KeepHosts, c.cfg.KeepAddresses).hide(text)
}
