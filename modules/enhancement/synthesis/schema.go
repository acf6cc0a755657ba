package synthesis

const schemaName = "ticket_answer"

// answerSchema is what the model must answer in. Strict mode wants every property required and no others, and compatible
// servers know fewer keywords than OpenAI's, so counts and lengths are checked in code only.
func answerSchema() map[string]any {
	text := map[string]any{"type": "string"}
	list := func(items map[string]any) map[string]any { return map[string]any{"type": "array", "items": items} }
	oneOf := func(values ...string) map[string]any { return map[string]any{"type": "string", "enum": values} }
	object := func(properties map[string]any, required ...string) map[string]any {
		return map[string]any{"type": "object", "properties": properties, "required": required, "additionalProperties": false}
	}
	claim := object(map[string]any{"text": text, "evidence_ids": list(text)}, "text", "evidence_ids")
	step := object(map[string]any{"text": text, "safety": oneOf("read_only", "reversible", "needs_approval"), "evidence_ids": list(text)},
		"text", "safety", "evidence_ids")
	remark := object(map[string]any{"id": text, "why": text}, "id", "why")
	return object(map[string]any{
		"verdict":      oneOf("action_suggested", "information", "inconclusive"),
		"likely_cause": claim,
		"alternatives": list(claim),
		"evidence":     list(claim),
		"steps":        list(step),
		"similar":      list(remark),
	}, "verdict", "likely_cause", "alternatives", "evidence", "steps", "similar")
}
