package app

import (
	"encoding/json"
	"strings"

	"aiagents/internal/simulator/openai"
	"aiagents/modules/enhancement/evidence"
)

// repeatEvidence is the worst model there is: it puts everything that it was shown into its answer, each text with the ids of
// all the evidence, so that whatever reaches the prompt can reach the note.
func repeatEvidence(r openai.Request) string {
	var doc any
	_, data, _ := strings.Cut(r.User(), "\n")
	// What cannot be read is not repeated.
	_ = json.NewDecoder(strings.NewReader(data)).Decode(&doc)
	var ids, texts []string
	var walk func(key string, v any)
	walk = func(key string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for _, k := range sortedKeys(v) {
				walk(k, v[k])
			}
		case []any:
			for _, item := range v {
				walk(key, item)
			}
		case string:
			if key == "id" {
				ids = append(ids, v)
			} else if v != "" {
				texts = append(texts, v)
			}
		}
	}
	walk("", doc)
	claim := func(text string) map[string]any { return map[string]any{"text": text, "evidence_ids": ids} }
	out := map[string]any{
		"verdict": evidence.ActionSuggested, "likely_cause": claim(strings.Join(texts, ". ")),
		"alternatives": []any{}, "evidence": []any{}, "steps": []any{}, "similar": []any{},
	}
	for _, text := range texts {
		out["evidence"] = append(out["evidence"].([]any), claim(text))
	}
	for _, id := range ids {
		if strings.HasPrefix(id, "T-") {
			out["similar"] = append(out["similar"].([]any), map[string]any{"id": id, "why": "Same symptom."})
		}
	}
	raw, err := json.Marshal(out)
	if err != nil {
		return "{}"
	}
	return string(raw)
}
