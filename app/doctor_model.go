package app

import (
	"context"
	"errors"
	"time"

	"aiagents/modules/enhancement/synthesis"
)

// retirementNotice is how long before its shutdown a model is worth a warning.
const retirementNotice = 90 * 24 * time.Hour

// model asks every configured model for the smallest possible answer, with the client that the workers use.
func (d *doctor) model(ctx context.Context, f *findings) {
	ctx, cancel := context.WithTimeout(ctx, doctorModelTime)
	defer cancel()
	client, err := synthesis.New(modelConfig(d.cfg.OpenAI), d.now)
	if err != nil {
		f.fail("model", "correct the setting that is named", "%s", explain(err))
		return
	}
	calls, err := client.Check(ctx)
	if errors.Is(err, synthesis.ErrNotConfigured) {
		f.warn("model", "set AI_AGENTS_OPENAI_API_KEY, or leave it so", "none is configured: notes are facts-only")
		return
	}
	for i, call := range calls {
		if ctx.Err() != nil && call.Outcome != synthesis.OutcomeOK {
			break // its own answer is not known
		}
		problem, next := modelProblem(call)
		switch {
		case problem == "":
			f.ok("model", "%s answers in %s", call.Model, call.Duration.Round(time.Millisecond))
		case i == 0:
			f.fail("model", next, "%s: %s", call.Model, problem)
		default:
			f.warn("model", next, "%s, a fallback: %s", call.Model, problem)
		}
	}
	if err != nil {
		f.fail("model", "check AI_AGENTS_OPENAI_BASE_URL and the way there; notes are facts-only meanwhile",
			"no answer within %s", doctorModelTime)
	}
	for _, m := range client.Status().Models {
		d.retirement(f, m.Model, m.Retirement)
	}
}

// modelProblem says what a call's end means for the operator. An answer that cannot be used still proves that the model is
// there: the question is not one that it was made for.
func modelProblem(call synthesis.Call) (problem, next string) {
	const check = "check AI_AGENTS_OPENAI_BASE_URL and the way there; notes are facts-only meanwhile"
	switch call.Outcome {
	case synthesis.OutcomeOK, synthesis.OutcomeInvalid, synthesis.OutcomeTruncated, synthesis.OutcomeRefused:
		return "", ""
	case synthesis.OutcomeCredentials:
		return "the key is refused", "replace AI_AGENTS_OPENAI_API_KEY and restart the workers"
	case synthesis.OutcomeUnknownModel:
		return "the server does not know this model", "correct AI_AGENTS_OPENAI_MODEL or AI_AGENTS_OPENAI_FALLBACK_MODELS"
	case synthesis.OutcomeBilling:
		return "the account's credit or limit is used up", "raise it at the provider; notes are facts-only meanwhile"
	case synthesis.OutcomeRateLimited:
		return "the provider limits our calls", "raise the limit at the provider, or lower AI_AGENTS_WORKER_CONCURRENCY"
	case synthesis.OutcomeTimeout, synthesis.OutcomeNetwork, synthesis.OutcomeCancelled:
		return "it cannot be reached (" + string(call.Outcome) + ")", check
	case synthesis.OutcomeServerError:
		return "the server fails", "look at the provider's status page; notes are facts-only meanwhile"
	case synthesis.OutcomeSchemaRefused, synthesis.OutcomeParameterRefused, synthesis.OutcomeTooLong, synthesis.OutcomeRejected:
		return "the server rejects our requests (" + string(call.Outcome) + ")", "choose another model with AI_AGENTS_OPENAI_MODEL"
	}
	return string(call.Outcome), check
}

func (d *doctor) retirement(f *findings, model string, day time.Time) {
	const next = "set AI_AGENTS_OPENAI_MODEL (or AI_AGENTS_OPENAI_FALLBACK_MODELS, if it is one) to a model that stays"
	left := day.Sub(d.now())
	switch {
	case day.IsZero() || left > retirementNotice:
	case left <= 0:
		f.warn("model retirement", next, "%s was announced to shut down on %s", model, day.Format(time.DateOnly))
	default:
		f.warn("model retirement", next, "%s shuts down on %s, in %d days", model, day.Format(time.DateOnly), int(left.Hours()/24))
	}
}
