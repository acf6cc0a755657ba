package enhancement

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"aiagents/modules/enhancement/evidence"
)

func TestTheRequestersNameIsTakenOutEverywhere(t *testing.T) {
	t.Parallel()
	const text = "Ask Kim Moreno, whose laptop Kim Morenos is not"
	answer := func() evidence.Answer {
		return evidence.Answer{
			LikelyCause: &evidence.Claim{Text: text}, Alternatives: []evidence.Claim{{Text: text}}, Evidence: []evidence.Claim{{Text: text}},
			Steps: []evidence.Step{{Text: text}}, Similar: []evidence.Remark{{Why: text}},
		}
	}
	raw, err := json.Marshal(withoutRequester(answer(), "Kim Moreno"))
	require.NoError(t, err)
	require.NotContains(t, string(raw), "Kim Moreno,")
	require.Equal(t, 5, strings.Count(string(raw), "Ask "+requesterMark+", whose laptop Kim Morenos is not"), "another name is not touched")

	require.Equal(t, answer(), withoutRequester(answer(), ""))
	require.Equal(t, answer(), withoutRequester(answer(), "laptop"), "an ordinary word is no name")
}

func TestThePreferenceDecidesWhetherTheRequesterIsNamed(t *testing.T) {
	t.Parallel()
	for show, want := range map[bool]string{true: "Kim Moreno", false: requesterMark} {
		b := setup(t)
		b.tenant.prefs.MustFetch, b.tenant.prefs.ShowRequester = true, show
		b.desk.ticket = DeskTicket{Ticket: evidence.Ticket{ID: "4711", Subject: "VPN", Description: "error", Requester: "Kim Moreno"}}
		b.model.step = "Call back Kim Moreno"
		id := b.deliver(t, created("k1", "4711")).ID
		require.NoError(t, b.attempt(t, id))
		require.Contains(t, *b.show(t, id).NoteHTML, "Call back "+want)
		require.Equal(t, "Call back "+want, b.show(t, id).Answer.Steps[0].Text)
	}
}
