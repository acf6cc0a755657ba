package notifier

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"aiagents/internal/fault"
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

func TestGenericDesksHaveNotesOnly(t *testing.T) {
	t.Parallel()
	b := newBench(t, options(servicedesk.Generic)).hasty()
	m := b.module()
	r := b.request(b.ticket())
	_, err := m.GetRequest(t.Context(), tenant, r.TicketID)
	requireCode(t, err, fault.Invalid, "DESK_UNSUPPORTED")
	_, err = m.GetResolution(t.Context(), tenant, r.TicketID)
	requireCode(t, err, fault.Invalid, "DESK_UNSUPPORTED")
	_, err = m.ListRequests(t.Context(), tenant, TicketQuery{})
	requireCode(t, err, fault.Invalid, "DESK_UNSUPPORTED")
	_, err = m.ListSolutions(t.Context(), tenant, 1)
	requireCode(t, err, fault.Invalid, "DESK_UNSUPPORTED")
	b.desk.AddFault(servicedesk.Fault{Kind: servicedesk.CutAfterApply, Operation: servicedesk.NotesAdd, Times: 1})
	first, err := b.finish(r, m)
	require.NoError(t, err)
	require.True(t, first.Adopted)
	r.Epoch = 50
	second, err := m.Post(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, first.NoteID, second.NoteID, "a note that stands is left as it is")
	require.Len(t, b.desk.Notes(r.TicketID), 1)

	b.exec(`UPDATE note_posts SET posts = 2, post_started_at = now() - interval '1 minute' WHERE tenant_id = $1`, tenant)
	_, err = b.desk.AddNote(servicedesk.Note{TicketID: r.TicketID, Description: r.HTML})
	require.NoError(t, err)
	result, err := m.Sweep(t.Context(), tenant)
	require.NoError(t, err)
	require.Equal(t, 1, result.DuplicatesLeft, "it is reported, since the bridge cannot delete")
}

func TestTheEnvelopeIsFoundOutOnceAndRemembered(t *testing.T) {
	t.Parallel()
	o := options(servicedesk.OnPrem)
	o.OlderBuild = true // wants request_note, lists request_notes, answers lists with one status object
	b := newBench(t, o)
	m := b.module()
	for range 2 {
		r := b.request(b.ticket())
		_, err := m.Post(t.Context(), r)
		require.NoError(t, err)
		require.Len(t, b.desk.Notes(r.TicketID), 1)
		notes, err := m.ListNotes(t.Context(), tenant, r.TicketID)
		require.NoError(t, err)
		require.Len(t, notes, 1)
		require.False(t, notes[0].AddedAt.IsZero())
	}
	require.Equal(t, 3, b.desk.Count(servicedesk.NotesAdd), "refused once, then remembered")
	r := b.request(b.ticket())
	_, err := b.module().Post(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, 4, b.desk.Count(servicedesk.NotesAdd), "by other processes too")

	b.conns.change(tenant, func(c *Connection) { c.NoteKey = "note" })
	_, err = m.Post(t.Context(), b.request(b.ticket()))
	requireCode(t, err, fault.Invalid, "DESK_REJECTED")
	require.Equal(t, 5, b.desk.Count(servicedesk.NotesAdd), "a fixed envelope is not second-guessed")
}

func TestAnAmbiguousAnswerNeverTriesTheOtherEnvelope(t *testing.T) {
	t.Parallel()
	b := newBench(t, options(servicedesk.OnPrem))
	m := b.module()
	b.desk.AddFault(servicedesk.Fault{Kind: servicedesk.ErrorAfterApply, Operation: servicedesk.NotesAdd, Times: 1})
	_, err := m.Post(t.Context(), b.request(b.ticket()))
	requireCode(t, err, fault.Unavailable, "NOTE_AMBIGUOUS")
	require.Equal(t, 1, b.desk.Count(servicedesk.NotesAdd))
}

func TestHistoryAndKnowledgeAreRead(t *testing.T) {
	t.Parallel()
	b := newBench(t, options(servicedesk.OnPrem))
	m := b.module()
	start := time.Date(2026, 11, 1, 8, 0, 0, 0, time.UTC)
	for i := range 250 {
		_, err := b.desk.AddTicket(servicedesk.Ticket{
			Subject: fmt.Sprintf("Ticket %d", i), Description: "<p>text</p>", Resolution: "<p>Rebooted <b>it</b></p>",
			Created: start.Add(time.Duration(i) * time.Minute),
		})
		require.NoError(t, err)
	}
	seen := map[string]bool{}
	pages := 0
	for next := 1; next > 0; pages++ {
		page, err := m.ListRequests(t.Context(), tenant, TicketQuery{CreatedSince: start.Add(50 * time.Minute), Start: next})
		require.NoError(t, err)
		for _, ticket := range page.Tickets {
			require.True(t, ticket.Brief)
			seen[ticket.ID] = true
		}
		next = page.Next
	}
	require.Len(t, seen, 200)
	require.Equal(t, 2, pages)
	page, err := m.ListRequests(t.Context(), tenant, TicketQuery{UpdatedSince: start.Add(240 * time.Minute)})
	require.NoError(t, err)
	require.Len(t, page.Tickets, 10)
	text, err := m.GetResolution(t.Context(), tenant, page.Tickets[0].ID)
	require.NoError(t, err)
	require.Equal(t, "Rebooted it", text)
	_, err = m.ListRequests(t.Context(), tenant, TicketQuery{CreatedSince: start, UpdatedSince: start})
	require.Equal(t, fault.Invalid, fault.KindOf(err))

	b.desk.AddSolution(servicedesk.Solution{Title: "VPN renewal", Description: "<ol><li>Log in</li></ol>", Keywords: "vpn, 809"})
	b.desk.AddSolution(servicedesk.Solution{Title: "Draft", Status: "UnApproved"})
	b.desk.AddSolution(servicedesk.Solution{Title: "Old", Expires: start})
	solutions, err := m.ListSolutions(t.Context(), tenant, 1)
	require.NoError(t, err)
	require.Len(t, solutions.Solutions, 1)
	require.Equal(t, "- Log in", solutions.Solutions[0].Text)
	require.Equal(t, []string{"vpn", "809"}, solutions.Solutions[0].Keywords)
	require.Zero(t, solutions.Next)
}

func TestOnMSPEditionsOnlyPublicSolutionsAreShared(t *testing.T) {
	t.Parallel()
	b := newBench(t, options(servicedesk.MSPOnPrem))
	b.desk.AddSolution(servicedesk.Solution{Title: "For all", Description: "text", Public: true})
	b.desk.AddSolution(servicedesk.Solution{Title: "Internal to somebody", Description: "text"})
	page, err := b.module().ListSolutions(t.Context(), tenant, 1)
	require.NoError(t, err)
	require.Len(t, page.Solutions, 1)
	require.Equal(t, "For all", page.Solutions[0].Title)
	require.Equal(t, 1, page.Hidden)
}

func TestProbeWritesNothingAndTellsWhatIsWrong(t *testing.T) {
	t.Parallel()
	for _, edition := range editions {
		t.Run(string(edition), func(t *testing.T) {
			t.Parallel()
			b := newBench(t, options(edition))
			m := b.module()
			require.NoError(t, m.Probe(t.Context(), tenant))
			b.conns.change(tenant, func(c *Connection) { c.APIKey, c.OAuth.RefreshToken = "wrong", "wrong" })
			err := m.Probe(t.Context(), tenant)
			require.Equal(t, fault.Unauthenticated, fault.KindOf(err))
			for _, sent := range b.desk.Requests() {
				require.True(t, sent.Method == http.MethodGet || sent.Operation == servicedesk.OAuthToken, sent.Method)
			}
		})
	}
}
