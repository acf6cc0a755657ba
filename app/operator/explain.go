package operator

import (
	"fmt"
	"strings"
	"time"

	"aiagents/modules/enhancement"
	"aiagents/modules/enhancement/evidence"
)

// Explanation says in plain words how a run stands and what to do about it. Next is empty where nothing is to be done.
type Explanation struct {
	Text string `json:"text"`
	Next string `json:"next,omitempty"`
}

// TimelineStep is one part of a run.
type TimelineStep struct {
	// Name is received, queue, fetch, gather, similar_tickets, knowledge, inventory, monitoring, documentation, model, call,
	// post or finished.
	Name  string `json:"name"`
	Title string `json:"title"`
	// Depth is 0 for the stages and 1 for their parts, which run inside them.
	Depth int `json:"depth"`
	// At is when it happened, where one moment is known.
	At *time.Time `json:"at,omitempty"`
	// OffsetMs is how long after the webhook it began; absent where attempts were repeated and it is not known.
	OffsetMs   *int64 `json:"offset_ms,omitempty"`
	DurationMs *int64 `json:"duration_ms,omitempty"`
	Outcome    string `json:"outcome,omitempty"`
	Detail     string `json:"detail,omitempty"`
}

// explain is about the run as a whole.
func explain(e enhancement.Summary) Explanation {
	switch {
	case e.Status == "pending" && e.ErrorMessage != nil:
		return Explanation{Text: "It waits: " + sentence(*e.ErrorMessage), Next: Advice(e.ErrorCode)}
	case e.Status == "pending" && e.Attempts == 0:
		return Explanation{Text: "It waits for a worker."}
	case e.Status == "pending":
		return Explanation{Text: "A worker is at it."}
	case e.Status == "failed":
		text := "It failed."
		if e.ErrorMessage != nil {
			text = "It failed: " + sentence(*e.ErrorMessage)
		}
		return Explanation{Text: text, Next: orElse(Advice(e.ErrorCode), "Remove the cause, then run it again.")}
	case e.Outcome == "facts_only":
		return factsOnly(evidence.Reason(e.Reason))
	case e.Outcome == "skipped":
		return Explanation{Text: "It got no note: " + sentence(e.Reason)}
	case e.Outcome == "recorded":
		return Explanation{Text: "The resolution was kept for search."}
	}
	return Explanation{Text: "The note was written."}
}

// Advice says what to do about a fault, by its code; empty where the message itself is all there is to say.
func Advice(code string) string {
	const check = "Test the tenant's connection; docs/runbooks/desk-errors.md has the steps."
	switch code {
	case "DESK_UNAUTHORIZED", "CONNECTION_PAUSED":
		return "Make a new key on the desk and set it; notes that wait are then written by themselves."
	case "DESK_FORBIDDEN":
		return "Give the key's technician a role that may view requests and add notes, then run it again."
	case "CONNECTION_INCOMPLETE", "DESK_MOVED", "DESK_STRAYED":
		return "Correct the desk's address, portal, edition or key, then run it again."
	case "EGRESS_REFUSED":
		return "If the address is yours, add its range to AI_AGENTS_EGRESS_ALLOW_CIDRS, restart, and run it again."
	case "DESK_DOWN", "DESK_UNAVAILABLE":
		return check
	case "DESK_REJECTED", "DESK_UNSUPPORTED":
		return "The desk does not take this request: see the message; " + strings.ToLower(check[:1]) + check[1:]
	case "FOREIGN_ACCOUNT":
		return "The ticket belongs to another account: compare the tenant's account ids with the desk, and the webhook with its account."
	case "NOTE_AMBIGUOUS", "NOTE_UNRESOLVED":
		return "Look at the ticket: when the note is not there, run it again; that posts it once more."
	case "NOTE_MOVED_ON":
		return "The ticket has a newer note; nothing is to be done."
	case "LEASE_LOST":
		return "Nothing: it is tried again. When it happens often, look at the worker's machine and its link to the database."
	case "NOT_FOUND":
		return "The desk has no such ticket (any more); nothing is to be done unless the webhook has the wrong tenant."
	case "ATTEMPT_TIMED_OUT":
		return "See in the timeline which part was slow, then run it again."
	case "RATE_LIMITED", "LIMITED":
		return "The other side limits our calls; it goes on by itself. docs/runbooks/desk-errors.md tells how to slow down."
	case "INTERNAL":
		return "The log has the cause under this enhancement's id."
	}
	return ""
}

func factsOnly(reason evidence.Reason) Explanation {
	texts := map[evidence.Reason]Explanation{
		evidence.ReasonNotConfigured: {"no model is set up.", "Set AI_AGENTS_OPENAI_API_KEY if notes shall be written by a model."},
		evidence.ReasonNoEvidence:    {"nothing was found that a model could be held to.", "Import past tickets and articles of this tenant."},
		evidence.ReasonOverBudget:    {"the tenant's daily token budget was used up.", "Raise daily_token_budget in the tenant's preferences, or wait for the next day (UTC)."},
		evidence.ReasonUnavailable:   {"the model did not answer in time, after its retries.", "See docs/runbooks/model-errors.md when it happens often."},
		evidence.ReasonRateLimited:   {"the model's provider limited our calls.", "Ask the provider for a higher limit, or set a daily budget a tenant."},
		evidence.ReasonRetired:       {"none of the configured models exists any more.", "Name another model in openai.model or openai.fallback_models."},
		evidence.ReasonBilling:       {"the credit at the model's provider is used up.", "Pay the provider's bill or raise its limit."},
		evidence.ReasonCredentials:   {"the model's provider refused our key.", "Replace AI_AGENTS_OPENAI_API_KEY."},
		evidence.ReasonRejected:      {"the model's provider refused the request as malformed or too long.", "See docs/runbooks/model-errors.md."},
		evidence.ReasonRefused:       {"the model declined to answer.", ""},
		evidence.ReasonInvalidAnswer: {"the model's answer could not be used.", "A stronger model helps when it happens often."},
		evidence.ReasonUngrounded:    {"the evidence did not cover the model's main statement, so it was dropped.", ""},
	}
	e, known := texts[reason]
	if !known {
		e.Text = string(reason) + "."
	}
	e.Text = "A facts-only note was written: " + e.Text
	return e
}

// timeline arranges what was measured. Stages follow each other; where attempts were repeated, only how long they took
// together is known, and not when.
func timeline(d enhancement.Detail) []TimelineStep {
	steps := []TimelineStep{{Name: "received", Title: "Webhook received", At: &d.CreatedAt, OffsetMs: ms(0)}}
	offset := (*int64)(nil)
	if d.StartedAt != nil {
		wait := d.StartedAt.Sub(d.CreatedAt).Milliseconds()
		steps = append(steps, TimelineStep{Name: "queue", Title: "Waited for a worker", OffsetMs: ms(0), DurationMs: &wait})
		if d.Attempts <= 1 {
			offset = ms(wait)
		}
	}
	for _, stage := range []struct{ name, title string }{
		{"fetch", "Ticket completed from the desk"}, {"gather", "Context gathered"}, {"model", "Answer synthesised"}, {"post", "Note written"},
	} {
		took, measured := d.Timings[stage.name+"_ms"]
		if !measured {
			continue
		}
		step := TimelineStep{Name: stage.name, Title: stage.title, OffsetMs: offset, DurationMs: ms(took)}
		switch stage.name {
		case "model":
			if d.Answer != nil {
				step.Outcome = string(d.Answer.Mode)
			}
		case "post":
			step.Detail = d.NoteID
		}
		steps = append(steps, step)
		steps = append(steps, parts(d, stage.name, offset)...)
		if offset != nil {
			offset = ms(*offset + took)
		}
	}
	if d.CompletedAt != nil {
		end := TimelineStep{Name: "finished", Title: "Finished", At: d.CompletedAt, Outcome: d.Outcome}
		if d.ProcessingTimeMs != nil {
			end.OffsetMs = ms(int64(*d.ProcessingTimeMs))
		}
		steps = append(steps, end)
	}
	return steps
}

// parts are what ran inside a stage: the sources side by side, the calls of the model one after the other.
func parts(d enhancement.Detail, stage string, offset *int64) (steps []TimelineStep) {
	switch {
	case stage == "gather" && d.Context != nil:
		for _, s := range d.Context.Sources {
			step := TimelineStep{
				Name: s.Name, Title: sourceTitles[s.Name], Depth: 1, OffsetMs: offset, DurationMs: ms(s.Duration.Milliseconds()),
				Outcome: string(s.Outcome), Detail: s.Reason,
			}
			if s.Found > 0 {
				step.Detail = fmt.Sprintf("%d found", s.Found)
			}
			steps = append(steps, step)
		}
	case stage == "model":
		for _, c := range d.Calls {
			steps = append(steps, TimelineStep{
				Name: "call", Title: "Call of " + c.Model, Depth: 1, OffsetMs: offset, DurationMs: ms(int64(c.DurationMs)), Outcome: c.Outcome,
				Detail: fmt.Sprintf("%d + %d tokens, $%.6f", c.PromptTokens, c.CompletionTokens, c.CostUSD),
			})
			if offset != nil {
				offset = ms(*offset + int64(c.DurationMs))
			}
		}
	}
	return steps
}

var sourceTitles = map[string]string{
	"similar_tickets": "Similar tickets", "knowledge": "Knowledge articles", "inventory": "Inventory",
	"monitoring": "Monitoring", "documentation": "Remote documentation",
}

func ms(n int64) *int64 { return &n }

func sentence(text string) string {
	if strings.HasSuffix(text, ".") {
		return text
	}
	return text + "."
}

func orElse(text, fallback string) string {
	if text == "" {
		return fallback
	}
	return text
}
