package synthesis

import (
	"context"
	"errors"
	"fmt"
	"time"

	"aiagents/modules/enhancement/evidence"
)

// ModelStatus is what is known about one configured model.
type ModelStatus struct {
	Model string `json:"model"`
	// Unknown is set while the server does not know the model.
	Unknown bool `json:"unknown"`
	// Retirement is the announced day of shutdown; zero when none is known.
	Retirement time.Time `json:"retirement,omitzero"`
	// Priced tells whether the price list knows the model.
	Priced bool `json:"priced"`
}

// Status is the state of the client, for doctor, health and metrics.
type Status struct {
	Configured    bool            `json:"configured"`
	Breaker       BreakerState    `json:"breaker"`
	BreakerReason evidence.Reason `json:"breaker_reason,omitempty"`
	Models        []ModelStatus   `json:"models"`
}

// Status tells how the client stands, without asking the server.
func (c *Client) Status() Status {
	s := Status{Configured: c.Configured()}
	s.Breaker, s.BreakerReason = c.breaker.state()
	for _, m := range c.cfg.models() {
		if m == "" {
			continue
		}
		c.mu.Lock()
		unknown := c.now().Before(c.retired[m])
		c.mu.Unlock()
		retirement, _ := RetirementOf(m)
		_, priced := PriceOf(m, c.now())
		s.Models = append(s.Models, ModelStatus{Model: m, Unknown: unknown, Retirement: retirement, Priced: priced})
	}
	return s
}

// ErrNotConfigured is returned by Check when there is nothing to check.
var ErrNotConfigured = errors.New("no model is configured")

// Check makes the smallest possible call to every configured model and says how it ended. It spends a few tokens.
func (c *Client) Check(ctx context.Context) ([]Call, error) {
	if !c.Configured() {
		return nil, ErrNotConfigured
	}
	var calls []Call
	for _, m := range c.usableModels("") {
		r := c.ask(ctx, m, prompt{system: "Answer with the JSON object {} and nothing else.", user: "{}"}, profile{noFormat: true})
		calls = append(calls, r.call)
		if ctx.Err() != nil {
			return calls, fmt.Errorf("check the model: %w", ctx.Err())
		}
	}
	return calls, nil
}
