package evidence

// Mode says who arranged the note: a language model, or fixed rules alone.
type Mode string

// The two modes of an answer.
const (
	Full      Mode = "full"
	FactsOnly Mode = "facts_only"
)

// Reason is why an answer is facts-only. The codes are stable: they are kept with the run, counted in metrics, and
// translated for the note.
type Reason string

// The reasons for a facts-only answer.
const (
	// ReasonNotConfigured: no model is set up.
	ReasonNotConfigured Reason = "not_configured"
	// ReasonNoEvidence: nothing was found that a model could be held to, so none was asked.
	ReasonNoEvidence Reason = "no_evidence"
	// ReasonOverBudget: the tenant's budget for model calls is used up.
	ReasonOverBudget Reason = "over_budget"
	// ReasonUnavailable: the model did not answer in time, or answered with errors, after its retries.
	ReasonUnavailable Reason = "model_unavailable"
	// ReasonRateLimited: the provider refuses more calls for now.
	ReasonRateLimited Reason = "rate_limited"
	// ReasonRetired: none of the configured models exists (any more) at the provider.
	ReasonRetired Reason = "model_retired"
	// ReasonBilling: the provider's credit or quota is used up.
	ReasonBilling Reason = "billing"
	// ReasonCredentials: the provider does not accept the key.
	ReasonCredentials Reason = "credentials_rejected"
	// ReasonRejected: the provider refuses the request as malformed or too long.
	ReasonRejected Reason = "request_rejected"
	// ReasonRefused: the model or its content filter declined.
	ReasonRefused Reason = "refused"
	// ReasonInvalidAnswer: the model answered, but not with a usable answer.
	ReasonInvalidAnswer Reason = "invalid_answer"
	// ReasonUngrounded: the model's main statement is not covered by the evidence.
	ReasonUngrounded Reason = "ungrounded"
)

// Reasons lists every reason, for tests and metrics that must cover all of them.
func Reasons() []Reason {
	return []Reason{
		ReasonNotConfigured, ReasonNoEvidence, ReasonOverBudget, ReasonUnavailable, ReasonRateLimited, ReasonRetired,
		ReasonBilling, ReasonCredentials, ReasonRejected, ReasonRefused, ReasonInvalidAnswer, ReasonUngrounded,
	}
}

// Verdict is what the answer amounts to.
type Verdict string

// The verdicts of an answer.
const (
	ActionSuggested Verdict = "action_suggested"
	Information     Verdict = "information"
	Inconclusive    Verdict = "inconclusive"
)

// Safety tells how much a step can change.
type Safety string

// The safety tags of a step, safest first.
const (
	ReadOnly      Safety = "read_only"
	Reversible    Safety = "reversible"
	NeedsApproval Safety = "needs_approval"
)

// Rank orders safety tags from the safest (0) on. An unknown tag counts as the least safe.
func (s Safety) Rank() int {
	switch s {
	case ReadOnly:
		return 0
	case Reversible:
		return 1
	case NeedsApproval:
		return 2
	}
	return 2
}

// TicketRef is the evidence id of the ticket being enhanced itself.
const TicketRef = "TICKET"

// Claim is a statement with the evidence that it rests on.
type Claim struct {
	Text        string   `json:"text"`
	EvidenceIDs []string `json:"evidence_ids,omitempty"`
	// Terms are names and codes that ticket and evidence share. Rules fill it instead of Text, which needs a language.
	Terms []string `json:"terms,omitempty"`
}

// Step is one thing to do next.
type Step struct {
	Text        string   `json:"text"`
	Safety      Safety   `json:"safety"`
	EvidenceIDs []string `json:"evidence_ids,omitempty"`
}

// Remark says why a similar ticket is similar.
type Remark struct {
	ID  string `json:"id"`
	Why string `json:"why"`
}

// Confidence is computed from the evidence, never taken from a model.
type Confidence struct {
	// Level is low, medium or high.
	Level string `json:"level"`
	// Value lies between 0 and 1.
	Value float64 `json:"value"`
}

// Answer is what a technician is told, apart from the evidence itself. Everything in it has passed the grounding.
type Answer struct {
	Mode    Mode    `json:"mode"`
	Reason  Reason  `json:"reason,omitempty"`
	Verdict Verdict `json:"verdict"`
	// LikelyCause is the best hypothesis; nil when there is none.
	LikelyCause *Claim `json:"likely_cause,omitempty"`
	// LooksLike is the id of the past ticket that rules alone hold to be the same case; only in facts-only answers.
	LooksLike string `json:"looks_like,omitempty"`
	// Alternatives are other hypotheses, at most two.
	Alternatives []Claim    `json:"alternatives,omitempty"`
	Evidence     []Claim    `json:"evidence,omitempty"`
	Steps        []Step     `json:"steps,omitempty"`
	Similar      []Remark   `json:"similar,omitempty"`
	Confidence   Confidence `json:"confidence"`
}

// IDs returns the ids of everything in the bundle that an answer may cite, the ticket itself first.
func (b Bundle) IDs() []string {
	ids := []string{TicketRef}
	for _, s := range b.Similar {
		ids = append(ids, s.ID)
	}
	for _, a := range b.Articles {
		ids = append(ids, a.ID)
	}
	for _, s := range b.Systems {
		ids = append(ids, s.ID)
	}
	for _, m := range b.Monitoring {
		ids = append(ids, m.ID)
	}
	return ids
}
