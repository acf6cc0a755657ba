package synthesis

import (
	"context"
	"time"

	"aiagents/modules/enhancement/evidence"
)

// conversation is the work on one ticket: at most maxCalls calls, of which Config.Attempts may fail.
type conversation struct {
	client *Client
	bundle evidence.Bundle
	opts   Options
	names  *pseudonyms
	budget int

	calls    []Call
	failures int
	retired  []string
}

func (v *conversation) run(ctx context.Context) (draft, evidence.Reason) {
	c := v.client
	models := c.usableModels(v.opts.Model)
	repair := ""
	reason := evidence.ReasonRetired
	for len(models) > 0 && len(v.calls) < maxCalls {
		prof := c.profile(models[0])
		r := c.ask(ctx, models[0], buildPrompt(v.bundle, v.names, v.opts, v.budget, prof.plainJSON, repair), prof)
		d, broken := v.read(&r)
		v.calls = append(v.calls, r.call)
		if r.call.Outcome == OutcomeOK {
			return d, ""
		}
		reason = r.call.Outcome.reason()
		switch r.call.Outcome.action() {
		case actionStop:
			return draft{}, reason
		case actionRetry:
			if v.failures++; v.failures >= c.cfg.Attempts || !c.pause(ctx, r.retryAfter) {
				return draft{}, reason
			}
		case actionRepair:
			if v.failures++; v.failures >= c.cfg.Attempts || repair != "" {
				return draft{}, reason
			}
			repair = broken
		case actionNextModel:
			c.retire(models[0])
			v.retired = append(v.retired, models[0])
			models = models[1:]
		case actionAdapt:
			if !v.adapt(r, prof) {
				return draft{}, reason
			}
		}
	}
	return draft{}, reason
}

// read decodes a whole answer; broken is what to tell the model when it cannot be used.
func (v *conversation) read(r *reply) (d draft, broken string) {
	if r.call.Outcome == OutcomeTruncated {
		return draft{}, errTruncated.Error()
	}
	if r.call.Outcome != OutcomeOK {
		return draft{}, errNotJSON.Error()
	}
	d, err := decodeAnswer(r.content)
	if err != nil {
		r.call.Outcome = OutcomeInvalid
		return draft{}, err.Error()
	}
	return d, ""
}

// adapt changes the form of the request to what the server takes, and remembers it for the next tickets.
func (v *conversation) adapt(r reply, prof profile) bool {
	if r.call.Outcome == OutcomeTooLong {
		v.budget /= 2
		return true
	}
	if !prof.adapt(r.call.Outcome, r.said) {
		return false
	}
	v.client.mu.Lock()
	defer v.client.mu.Unlock()
	v.client.profiles[r.call.Model] = prof
	return true
}

// pause waits before the second attempt. It is false when the server wants more patience than a ticket has.
func (c *Client) pause(ctx context.Context, asked time.Duration) bool {
	if asked > max(longestWait, c.cfg.RetryDelay) {
		return false
	}
	timer := time.NewTimer(max(c.cfg.RetryDelay, asked))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
