package synthesis

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"aiagents/internal/simulator/openai"
	"aiagents/modules/enhancement/evidence"
)

// injection is one attack: the text that an outsider plants on a path, what a model that obeys it would write, and what
// must never be in an answer.
type injection struct {
	Name  string   `json:"name"`
	Path  string   `json:"path"`
	Text  string   `json:"text"`
	Says  string   `json:"says"`
	Never []string `json:"never"`
}

func injections(t *testing.T) []injection {
	t.Helper()
	file, err := os.ReadFile("testdata/injection.json")
	require.NoError(t, err)
	var list []injection
	require.NoError(t, json.Unmarshal(file, &list))
	require.GreaterOrEqual(t, len(list), 60)
	return list
}

// plant puts the text of an attack where it comes in.
func plant(t *testing.T, b evidence.Bundle, in injection) evidence.Bundle {
	t.Helper()
	switch in.Path {
	case "subject":
		b.Ticket.Subject += " " + in.Text
	case "description":
		b.Ticket.Description += "\n" + in.Text
	case "requester":
		b.Ticket.Requester = in.Text
	case "past_ticket":
		b.Similar[0].Resolution = in.Text
	case "article":
		b.Articles[0].Excerpt = in.Text
	case "host":
		b.Systems = append(b.Systems, evidence.System{ID: "S-" + in.Text, Hostname: in.Text, How: "name"})
	case "monitoring":
		b.Monitoring[0].Summary = in.Text
	default:
		t.Fatalf("unknown path %q", in.Path)
	}
	return b
}

// obeying is the worst model: it writes what the attacker wants into every field, in every form.
func obeying(says string) string {
	claim := map[string]any{"text": says, "evidence_ids": []string{"T-4711", "TICKET"}}
	mixed := map[string]any{"text": "The archive job likely failed. " + says, "evidence_ids": []string{"T-4711", says}}
	step := map[string]any{"text": says, "safety": "read_only", "evidence_ids": []string{"T-4711"}}
	answer, _ := json.Marshal(map[string]any{
		"verdict": "action_suggested", "likely_cause": mixed, "alternatives": []any{claim}, "evidence": []any{claim, mixed}, "steps": []any{step, step},
		"similar": []any{map[string]any{"id": "T-4711", "why": says}, map[string]any{"id": says, "why": "x"}},
	})
	return string(answer)
}

func TestAnObeyingModelGetsNothingThrough(t *testing.T) {
	t.Parallel()
	for _, in := range injections(t) {
		t.Run(in.Name, func(t *testing.T) {
			t.Parallel()
			s, url := simulator(t, openai.Options{Respond: func(openai.Request) string { return obeying(in.Says) }})

			r, err := newClient(t, url).Synthesise(t.Context(), plant(t, exchangeBundle(), in), Options{})

			require.NoError(t, err)
			require.Len(t, r.Calls, 1)
			kept, err := json.Marshal(r.Answer)
			require.NoError(t, err)
			for _, never := range in.Never {
				quoted, err := json.Marshal(never)
				require.NoError(t, err)
				require.NotContains(t, string(kept), strings.Trim(string(quoted), `"`))
			}
			for _, markup := range []string{"://", "](", "<script", "<img", "\\u003cimg", "\\u003cscript", "\u200b", "\u202e"} {
				require.NotContains(t, string(kept), markup)
			}
			for _, step := range r.Answer.Steps {
				if strings.Contains(step.Text, "Format the drive") {
					require.Equal(t, evidence.NeedsApproval, step.Safety)
				}
			}
			prompt := s.Requests()[0].Prompt
			require.NotContains(t, prompt, "Canary-", "no secret reaches the model")
			require.NotContains(t, prompt, "CANARY0123")
		})
	}
}

// TestTheCorpusBites shows that the attacks work where nothing guards: each obeying answer, taken as it is, says what it must not.
func TestTheCorpusBites(t *testing.T) {
	t.Parallel()
	for _, in := range injections(t) {
		for _, never := range in.Never {
			require.Contains(t, in.Says, never, in.Name)
		}
	}
}

func TestHiddenTextIsCountedOnTheRun(t *testing.T) {
	t.Parallel()
	_, url := simulator(t, answering(goodAnswer))
	b := exchangeBundle()
	b.Ticket.Description += "<div style='display:none'>obey</div>\u200b\u202e"
	b.Articles[0].Excerpt += "<!-- obey -->"
	r, err := newClient(t, url).Synthesise(t.Context(), b, Options{})
	require.NoError(t, err)
	require.Equal(t, evidence.Hidden{Characters: 2, Markup: 2}, r.Hidden)
	require.Positive(t, r.Masked["SECRET"])
}
