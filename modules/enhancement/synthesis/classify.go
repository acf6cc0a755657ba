package synthesis

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strings"

	"aiagents/modules/enhancement/evidence"
)

// Outcome is how one call ended. The names are stable: they label metrics and are kept with the run.
type Outcome string

// The outcomes of a call.
const (
	OutcomeOK               Outcome = "ok"
	OutcomeTimeout          Outcome = "timeout"
	OutcomeNetwork          Outcome = "network"
	OutcomeServerError      Outcome = "server_error"
	OutcomeRateLimited      Outcome = "rate_limited"
	OutcomeBilling          Outcome = "billing"
	OutcomeCredentials      Outcome = "credentials"
	OutcomeUnknownModel     Outcome = "unknown_model"
	OutcomeSchemaRefused    Outcome = "schema_refused"
	OutcomeParameterRefused Outcome = "parameter_refused"
	OutcomeTooLong          Outcome = "context_too_long"
	OutcomeRejected         Outcome = "rejected"
	OutcomeRefused          Outcome = "refused"
	OutcomeTruncated        Outcome = "truncated"
	OutcomeInvalid          Outcome = "invalid_answer"
	OutcomeCancelled        Outcome = "cancelled"
)

// action is what an outcome leads to.
type action int

const (
	actionStop      action = iota // nothing that we could do differently would help
	actionRetry                   // the same request may work later
	actionRepair                  // the same model may do better when told what was wrong
	actionNextModel               // another model may exist
	actionAdapt                   // the same request may work in another form
)

func (o Outcome) action() action {
	switch o {
	case OutcomeTimeout, OutcomeNetwork, OutcomeServerError, OutcomeRateLimited:
		return actionRetry
	case OutcomeTruncated, OutcomeInvalid:
		return actionRepair
	case OutcomeUnknownModel:
		return actionNextModel
	case OutcomeSchemaRefused, OutcomeParameterRefused, OutcomeTooLong:
		return actionAdapt
	case OutcomeOK, OutcomeBilling, OutcomeCredentials, OutcomeRejected, OutcomeRefused, OutcomeCancelled:
		return actionStop
	}
	return actionStop
}

func (o Outcome) reason() evidence.Reason {
	switch o {
	case OutcomeRateLimited:
		return evidence.ReasonRateLimited
	case OutcomeBilling:
		return evidence.ReasonBilling
	case OutcomeCredentials:
		return evidence.ReasonCredentials
	case OutcomeUnknownModel:
		return evidence.ReasonRetired
	case OutcomeSchemaRefused, OutcomeParameterRefused, OutcomeTooLong, OutcomeRejected:
		return evidence.ReasonRejected
	case OutcomeRefused:
		return evidence.ReasonRefused
	case OutcomeTruncated, OutcomeInvalid:
		return evidence.ReasonInvalidAnswer
	case OutcomeOK, OutcomeTimeout, OutcomeNetwork, OutcomeServerError, OutcomeCancelled:
		return evidence.ReasonUnavailable
	}
	return evidence.ReasonUnavailable
}

// problem is what an error body says, wherever the server puts it.
type problem struct {
	code    string
	kind    string
	param   string
	message string
}

// readProblem understands OpenAI's {"error":{…}}, vLLM's flat object, Ollama's {"error":"text"} and FastAPI's {"detail":…}.
func readProblem(body []byte) problem {
	var fields map[string]json.RawMessage
	if json.Unmarshal(body, &fields) != nil {
		return problem{}
	}
	if inner := fields["error"]; inner != nil {
		var object map[string]json.RawMessage
		if json.Unmarshal(inner, &object) == nil && object != nil {
			fields = object
		} else {
			return problem{message: strings.ToLower(decodeLoose(inner))}
		}
	}
	p := problem{code: decodeLoose(fields["code"]), kind: decodeLoose(fields["type"]), param: decodeLoose(fields["param"]), message: decodeLoose(fields["message"])}
	if p.message == "" {
		p.message = decodeLoose(fields["detail"])
	}
	p.code, p.kind, p.param, p.message = strings.ToLower(p.code), strings.ToLower(p.kind), strings.ToLower(p.param), strings.ToLower(p.message)
	return p
}

// decodeLoose reads a text, and anything else as it is written.
func decodeLoose(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	return string(raw)
}

var (
	saysBilling   = regexp.MustCompile(`insufficient_quota|credit_balance|billing|payment_required|exceeded your current quota|insufficient (?:credit|balance|funds)|out of credit`)
	saysNoModel   = regexp.MustCompile(`model_not_found|model_deprecated|model_retired|deploymentnotfound|(?:model|deployment)\b.{0,160}(?:does not exist|not found|deprecated|decommissioned|retired|no longer|shut down|not available|unknown)|(?:invalid|unknown|unsupported) model|no such model|try pulling it`)
	saysSchema    = regexp.MustCompile(`response_format|json_schema|structured output|guided|grammar`)
	saysParameter = regexp.MustCompile(`max_completion_tokens|reasoning_effort|max_tokens`)
	saysTooLong   = regexp.MustCompile(`context_length|context length|context window|maximum context|too many tokens|prompt is too long|input is too long|reduce the length|string_above_max_length`)
	saysFiltered  = regexp.MustCompile(`content_filter|content_policy|responsibleai|content management policy|flagged`)
)

// classify decides by the code first, and by the status where servers send none. Status 0 means that there was no answer.
func classify(status int, p problem, err error) Outcome {
	said := p.code + " " + p.kind + " " + p.param + " " + p.message
	switch {
	case status == 0 && errors.Is(err, context.DeadlineExceeded):
		return OutcomeTimeout
	case status == 0:
		return OutcomeNetwork
	case status == http.StatusPaymentRequired, status >= 400 && status < 500 && saysBilling.MatchString(said):
		return OutcomeBilling
	case status == http.StatusUnauthorized:
		return OutcomeCredentials
	case status == http.StatusGone, status >= 400 && status < 500 && saysNoModel.MatchString(said):
		return OutcomeUnknownModel
	case status == http.StatusForbidden:
		return OutcomeCredentials
	case status == http.StatusTooManyRequests:
		return OutcomeRateLimited
	case status == http.StatusRequestTimeout, status == http.StatusConflict, status == http.StatusTooEarly, status >= 500:
		return OutcomeServerError
	case status == http.StatusBadRequest || status == http.StatusUnprocessableEntity || status == http.StatusRequestEntityTooLarge:
		return classifyRefusedRequest(status, said)
	case status < 300 && errors.Is(err, context.DeadlineExceeded):
		return OutcomeTimeout
	case status < 300 && errors.Is(err, io.ErrUnexpectedEOF):
		return OutcomeNetwork
	case status < 300:
		return OutcomeInvalid
	}
	return OutcomeRejected
}

func classifyRefusedRequest(status int, said string) Outcome {
	switch {
	case saysFiltered.MatchString(said):
		return OutcomeRefused
	case status == http.StatusRequestEntityTooLarge || saysTooLong.MatchString(said):
		return OutcomeTooLong
	case saysSchema.MatchString(said):
		return OutcomeSchemaRefused
	case saysParameter.MatchString(said):
		return OutcomeParameterRefused
	}
	return OutcomeRejected
}
