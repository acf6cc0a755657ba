package synthesis

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"aiagents/modules/enhancement/evidence"
)

// The ways in which an answer can be unusable. The texts are sent to the model when it is asked once more, so they hold
// nothing of its answer.
var (
	errNotJSON    = errors.New("it was not a JSON object")
	errSchemaEcho = errors.New("it was the description of the shape instead of an answer")
	errEmpty      = errors.New("it held neither a cause nor evidence nor steps")
	errTruncated  = errors.New("it was cut off because it was too long; use far fewer words")
)

// draft is a decoded answer before restoring and grounding.
type draft struct {
	verdict      evidence.Verdict
	cause        evidence.Claim
	alternatives []evidence.Claim
	evidence     []evidence.Claim
	steps        []evidence.Step
	similar      []evidence.Remark
}

const (
	maxContent      = 256 << 10
	maxText         = 700 // runes of one text; more is cut at a sentence
	maxEvidence     = 3
	maxSteps        = 4
	maxAlternatives = 2
	maxSimilar      = 5
	maxCitations    = 6
)

var (
	fenced   = regexp.MustCompile("(?s)^.*?```(?:json|JSON)?\\s*(\\{.*\\})\\s*```.*$")
	thinking = regexp.MustCompile(`(?s)^\s*<think(?:ing)?>.*?</think(?:ing)?>`)
)

// decodeAnswer reads what models send: it forgives how the answer is wrapped and whether a list of one is a list, and
// then insists on the content.
func decodeAnswer(content string) (draft, error) {
	if len(content) > maxContent {
		return draft{}, errTruncated
	}
	fields, err := findObject(content)
	if err != nil {
		return draft{}, err
	}
	var d draft
	if d.verdict, err = decodeVerdict(fields["verdict"]); err != nil {
		return draft{}, err
	}
	if claims := decodeClaims(fields["likely_cause"], 1); len(claims) == 1 {
		d.cause = claims[0]
	}
	d.alternatives = decodeClaims(fields["alternatives"], maxAlternatives)
	d.evidence = decodeClaims(fields["evidence"], maxEvidence)
	d.steps = decodeSteps(fields["steps"])
	d.similar = decodeRemarks(fields["similar"])
	if d.cause.Text == "" && len(d.evidence) == 0 && len(d.steps) == 0 && d.verdict != evidence.Inconclusive {
		return draft{}, errEmpty
	}
	return d, nil
}

// findObject returns the fields of the answer's object, however it is wrapped.
func findObject(content string) (map[string]json.RawMessage, error) {
	content = thinking.ReplaceAllString(strings.TrimPrefix(content, "\ufeff"), "")
	if m := fenced.FindStringSubmatch(content); m != nil {
		content = m[1]
	}
	start := strings.IndexByte(content, '{')
	if start < 0 {
		return nil, errNotJSON
	}
	var fields map[string]json.RawMessage
	if err := json.NewDecoder(strings.NewReader(content[start:])).Decode(&fields); err != nil {
		return nil, errNotJSON
	}
	if fields["verdict"] != nil {
		return fields, nil
	}
	if fields["properties"] != nil || fields["$schema"] != nil || fields["schema"] != nil {
		return nil, errSchemaEcho
	}
	for _, wrapped := range fields {
		var inner map[string]json.RawMessage
		if len(fields) == 1 && json.Unmarshal(wrapped, &inner) == nil && inner["verdict"] != nil {
			return inner, nil
		}
	}
	return nil, errors.New("the field verdict was missing")
}

func decodeVerdict(raw json.RawMessage) (evidence.Verdict, error) {
	v := evidence.Verdict(symbol(decodeText(raw)))
	switch v {
	case evidence.ActionSuggested, evidence.Information, evidence.Inconclusive:
		return v, nil
	}
	var object map[string]any
	if json.Unmarshal(raw, &object) == nil && (object["enum"] != nil || object["type"] != nil) {
		return "", errSchemaEcho
	}
	return "", fmt.Errorf("verdict must be one of %s, %s, %s", evidence.ActionSuggested, evidence.Information, evidence.Inconclusive)
}

// elements returns the items of a list; anything else that is there counts as a list of one.
func elements(raw json.RawMessage, limit int) []json.RawMessage {
	var items []json.RawMessage
	if len(raw) == 0 || string(raw) == "null" {
		return nil
	}
	if json.Unmarshal(raw, &items) != nil {
		items = []json.RawMessage{raw}
	}
	return items[:min(limit, len(items))]
}

func decodeClaims(raw json.RawMessage, limit int) []evidence.Claim {
	var claims []evidence.Claim
	for _, item := range elements(raw, limit) {
		o := decodeObject(item)
		if text := decodeText(o["text"]); text != "" {
			claims = append(claims, evidence.Claim{Text: text, EvidenceIDs: decodeIDs(o["evidence_ids"])})
		}
	}
	return claims
}

func decodeSteps(raw json.RawMessage) []evidence.Step {
	var steps []evidence.Step
	for _, item := range elements(raw, maxSteps) {
		o := decodeObject(item)
		text := decodeText(o["text"])
		if text == "" {
			continue
		}
		step := evidence.Step{Text: text, Safety: evidence.Safety(symbol(decodeText(o["safety"]))), EvidenceIDs: decodeIDs(o["evidence_ids"])}
		switch step.Safety {
		case evidence.ReadOnly, evidence.Reversible, evidence.NeedsApproval:
		default:
			step.Safety = evidence.NeedsApproval
		}
		steps = append(steps, step)
	}
	return steps
}

func decodeRemarks(raw json.RawMessage) []evidence.Remark {
	var remarks []evidence.Remark
	for _, item := range elements(raw, maxSimilar) {
		o := decodeObject(item)
		id := decodeText(o["id"])
		if id == "" {
			id = decodeText(o["text"])
		}
		if id != "" {
			remarks = append(remarks, evidence.Remark{ID: id, Why: decodeText(o["why"])})
		}
	}
	return remarks
}

// decodeObject takes a bare text for an object with nothing but a text.
func decodeObject(raw json.RawMessage) map[string]json.RawMessage {
	var object map[string]json.RawMessage
	if json.Unmarshal(raw, &object) == nil {
		return object
	}
	return map[string]json.RawMessage{"text": raw}
}

func decodeIDs(raw json.RawMessage) []string {
	var ids []string
	for _, item := range elements(raw, 20) {
		for id := range strings.FieldsFuncSeq(decodeText(item), func(r rune) bool { return strings.ContainsRune(" ,;[]()", r) }) {
			if len(ids) < maxCitations {
				ids = append(ids, id)
			}
		}
	}
	return ids
}

var markdown = strings.NewReplacer("**", "", "__", "", "`", "", "‑", "-", "‐", "-")

// decodeText reads a text, or a list of texts, as one clean line without markup. Anything else is no text.
func decodeText(raw json.RawMessage) string {
	if len(raw) == 0 {
		return ""
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		var parts []string
		if json.Unmarshal(raw, &parts) != nil {
			return ""
		}
		s = strings.Join(parts, " ")
	}
	s, _ = evidence.PlainText(s)
	s = strings.Join(strings.Fields(markdown.Replace(s)), " ")
	return clipSentences(s, maxText)
}

func symbol(s string) string {
	return strings.NewReplacer(" ", "_", "-", "_").Replace(strings.ToLower(strings.TrimSpace(s)))
}
