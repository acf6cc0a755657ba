package notifier

import (
	"testing"

	"github.com/stretchr/testify/require"

	"aiagents/internal/simulator/servicedesk"
)

var editions = []servicedesk.Edition{
	servicedesk.OnPrem, servicedesk.Cloud, servicedesk.MSPOnPrem, servicedesk.MSPCloud, servicedesk.Generic,
}

func TestEveryEditionGetsExactlyOnePrivateNote(t *testing.T) {
	t.Parallel()
	for _, edition := range editions {
		t.Run(string(edition), func(t *testing.T) {
			t.Parallel()
			b := newBench(t, options(edition))
			m := b.module()
			id := b.ticket()
			if edition != servicedesk.Generic {
				got, err := m.GetRequest(t.Context(), tenant, id)
				require.NoError(t, err)
				require.Equal(t, "VPN drops every hour", got.Subject)
				require.Equal(t, "The tunnel to HC-FW-01 drops.\n\nError 809", got.Description)
				require.Equal(t, []string{"High", "Network", "Dana Whitfield", "Open"}, []string{got.Priority, got.Category, got.Requester, got.Status})
				require.False(t, got.CreatedAt.IsZero())
			}
			r := b.request(id)
			result, err := m.Post(t.Context(), r)
			require.NoError(t, err)
			notes := b.desk.Notes(id)
			require.Len(t, notes, 1)
			require.Equal(t, notes[0].ID, result.NoteID)
			require.Equal(t, r.HTML, notes[0].Description)
			require.False(t, notes[0].ShowToRequester || notes[0].NotifyTechnician || notes[0].MarkFirstResponse || notes[0].AddToLinkedRequest)
			require.Equal(t, "posted", b.row(r).State)
		})
	}
}
