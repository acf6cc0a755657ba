package notifier

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"aiagents/internal/simulator/servicedesk"
)

func TestTheSearchReadsAllPages(t *testing.T) {
	t.Parallel()
	for _, withoutBody := range []bool{false, true} {
		t.Run(fmt.Sprintf("list without bodies %t", withoutBody), func(t *testing.T) {
			t.Parallel()
			o := options(servicedesk.OnPrem)
			o.NotesWithoutBody = withoutBody
			b := newBench(t, o).hasty()
			m := b.module()
			r := b.request(b.ticket())
			b.desk.AddFault(servicedesk.Fault{Kind: servicedesk.CutAfterApply, Operation: servicedesk.NotesAdd, Times: 1})
			addNotes(t, b, r.TicketID, 230)
			_, err := m.Post(t.Context(), r)
			require.Error(t, err)
			addNotes(t, b, r.TicketID, 25)
			result, err := b.finish(r, m)
			require.NoError(t, err)
			require.True(t, result.Adopted)
			require.Len(t, b.desk.Notes(r.TicketID), 256)
			all, err := m.ListNotes(t.Context(), tenant, r.TicketID)
			require.NoError(t, err)
			require.Len(t, all, 256)
			require.Equal(t, "note 7", textOf(all[7].HTML))
			require.Equal(t, "Technician", all[7].Author)
		})
	}
}

func addNotes(t *testing.T, b *bench, ticketID string, n int) {
	for i := range n {
		_, err := b.desk.AddNote(servicedesk.Note{TicketID: ticketID, Description: fmt.Sprintf("<p>note %d</p>", i)})
		require.NoError(t, err)
	}
}

func TestANoteThatLostItsReferenceIsKnownByItsWords(t *testing.T) {
	t.Parallel()
	b := newBench(t, options(servicedesk.OnPrem)).hasty()
	m := b.module()
	long, short := b.request(b.ticket()), b.request(b.ticket())
	short.HTML = "<p>Call back. Ref " + short.Reference + "</p>"
	b.desk.AddFault(servicedesk.Fault{Kind: servicedesk.StripMarker})
	b.desk.AddFault(servicedesk.Fault{Kind: servicedesk.CutAfterApply, Operation: servicedesk.NotesAdd, Ticket: long.TicketID, Times: 1})
	b.desk.AddFault(servicedesk.Fault{Kind: servicedesk.CutAfterApply, Operation: servicedesk.NotesAdd, Ticket: short.TicketID, Times: 1})
	result, err := b.finish(long, m)
	require.NoError(t, err)
	require.True(t, result.Adopted)
	require.Len(t, b.desk.Notes(long.TicketID), 1)
	require.NotContains(t, b.desk.Notes(long.TicketID)[0].Description, "AIA-")

	_, err = b.finish(short, m)
	require.NoError(t, err)
	require.Len(t, b.desk.Notes(short.TicketID), 2, "three words prove nothing; this assumption is stated, not hidden")
}

// TestTheSweepRemovesWhatAnAssumptionMissed breaks the assumption about late requests: one takes effect after the quiet
// time, when the note has been posted again.
func TestTheSweepRemovesWhatAnAssumptionMissed(t *testing.T) {
	t.Parallel()
	b := newBench(t, options(servicedesk.OnPrem)).hasty()
	m := b.module()
	r := b.request(b.ticket())
	b.desk.AddFault(servicedesk.Fault{Kind: servicedesk.ApplyLate, Operation: servicedesk.NotesAdd, Times: 1, Status: 500, Delay: b.config.QuietTime() + time.Second})
	first, err := b.finish(r, m)
	require.NoError(t, err)
	_, err = b.desk.AddNote(servicedesk.Note{TicketID: r.TicketID, Description: "<p>I read " + r.Reference + " and it helped.</p>"})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return len(b.desk.Notes(r.TicketID)) == 3 }, 10*time.Second, 20*time.Millisecond, "the late copy arrives")
	require.Eventually(t, func() bool {
		result, err := m.Sweep(t.Context(), tenant)
		require.NoError(t, err)
		return result.DuplicatesRemoved == 1
	}, 10*time.Second, 50*time.Millisecond)
	notes := b.desk.Notes(r.TicketID)
	require.Len(t, notes, 2)
	require.Equal(t, first.NoteID, notes[0].ID, "the lowest id stays")
	require.Contains(t, notes[1].Description, "it helped", "a technician's note is never touched")
	require.Equal(t, first.NoteID, b.row(r).NoteID)

	b.exec(`UPDATE note_posts SET post_started_at = now() - interval '2 hours' WHERE tenant_id = $1`, tenant)
	result, err := m.Sweep(t.Context(), tenant)
	require.NoError(t, err)
	require.Zero(t, result.Checked, "after an hour the row is at rest")
}

func TestTheSweepFindsNotesWhoseRunNeverLearned(t *testing.T) {
	t.Parallel()
	b := newBench(t, options(servicedesk.OnPrem)).hasty()
	m := b.module()
	found, lost := b.request(b.ticket()), b.request(b.ticket())
	b.desk.AddFault(servicedesk.Fault{Kind: servicedesk.CutAfterApply, Operation: servicedesk.NotesAdd, Ticket: found.TicketID, Times: 1})
	b.desk.AddFault(servicedesk.Fault{Kind: servicedesk.CutBeforeApply, Operation: servicedesk.NotesAdd, Ticket: lost.TicketID, Times: 1})
	for _, r := range []PostRequest{found, lost} {
		_, err := m.Post(t.Context(), r)
		require.Error(t, err)
	}
	result, err := m.Sweep(t.Context(), tenant)
	require.NoError(t, err)
	require.Zero(t, result.Checked, "the quiet time is not over")
	b.exec(`UPDATE note_posts SET post_started_at = post_started_at - interval '1 minute' WHERE tenant_id = $1`, tenant)
	result, err = m.Sweep(t.Context(), tenant)
	require.NoError(t, err)
	require.Equal(t, []SettledNote{{found.EnhancementID, b.desk.Notes(found.TicketID)[0].ID}}, result.Settled)
	require.Equal(t, "posted", b.row(found).State)
	require.Equal(t, "posting", b.row(lost).State, "its run decides what to do")
}

// TestRandomFaultsEndAsOneNoteEach is the protocol under a fifth of failing requests of every kind, by three processes of
// which any may take over from any, within the assumptions that the configuration states.
func TestRandomFaultsEndAsOneNoteEach(t *testing.T) {
	t.Parallel()
	const tickets, workers = 250, 24
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	o := options(servicedesk.OnPrem)
	o.Seed = seed
	b := newBench(t, o).hasty()
	for _, f := range []servicedesk.Fault{
		{Kind: servicedesk.ErrorBeforeApply},
		{Kind: servicedesk.ErrorAfterApply},
		{Kind: servicedesk.CutBeforeApply},
		{Kind: servicedesk.CutAfterApply},
		{Kind: servicedesk.TruncateAnswer},
		{Kind: servicedesk.HTMLPage},
		{Kind: servicedesk.Stall},
		{Kind: servicedesk.ApplyLate, Delay: 850 * time.Millisecond},
		{Kind: servicedesk.ApplyLate, Delay: 150 * time.Millisecond, Status: 502},
	} {
		f.Operation, f.Probability = servicedesk.NotesAdd, 0.024 // together about 20 %
		b.desk.AddFault(f)
	}
	b.desk.AddFault(servicedesk.Fault{Kind: servicedesk.ErrorBeforeApply, Operation: servicedesk.NotesList, Probability: 0.2})
	b.desk.AddFault(servicedesk.Fault{Kind: servicedesk.ListLag, Operation: servicedesk.NotesList, Probability: 0.2, Delay: 100 * time.Millisecond})
	modules := []*Module{b.module(), b.module(), b.module()}
	requests := make(chan PostRequest, tickets)
	var ids []string
	for range tickets {
		r := b.request(b.ticket())
		ids = append(ids, r.TicketID)
		requests <- r
	}
	close(requests)
	rng := rand.New(rand.NewPCG(seed, 1))
	shuffled := make([][]*Module, workers)
	for i := range shuffled {
		shuffled[i] = []*Module{modules[rng.IntN(3)], modules[rng.IntN(3)], modules[rng.IntN(3)]}
	}
	var running sync.WaitGroup
	for i := range workers {
		running.Go(func() {
			for r := range requests {
				_, err := b.finish(r, shuffled[i]...)
				if err != nil {
					t.Errorf("ticket %s: %v", r.TicketID, err)
				}
			}
		})
	}
	running.Wait()
	posts := b.desk.Count(servicedesk.NotesAdd)
	for _, id := range ids {
		require.Len(t, b.desk.Notes(id), 1, "ticket %s", id)
	}
	require.Greater(t, posts, tickets, "the faults struck")
	t.Logf("%d tickets, %d posts, %d searches", tickets, posts, b.desk.Count(servicedesk.NotesList))
}

func TestReferencesAreWordsOfTheirOwn(t *testing.T) {
	t.Parallel()
	for markup, want := range map[string]bool{
		"<p>Ref AIA-7F3K2Q9D</p>":                    true,
		"AIA-7F3K2Q9D":                               true,
		"<p>(AIA-7F3K2Q9D)</p>":                      true,
		"<p>AIA-7F3K<wbr>2Q9D</p>":                   true,
		"<p>AIA-7F3K2Q9DX</p>":                       false,
		"<p>XAIA-7F3K2Q9D</p>":                       false,
		"<p>AIA-7F3K2Q9D-2</p>":                      false,
		"<p>AIA-7F3K2Q9DX and then AIA-7F3K2Q9D</p>": true,
		"": false,
	} {
		require.Equal(t, want, hasReference(markup, "AIA-7F3K2Q9D"), markup)
	}
}

func TestWordsIdentifyANoteWhateverItsMarkup(t *testing.T) {
	t.Parallel()
	sent := "<p>The tunnel of HC-FW-01 drops &amp; returns: renew the key every hour.</p><p>Ref AIA-7F3K2Q9D</p>"
	same := []string{
		"The tunnel of HC-FW-01 drops & returns:\nrenew the key every hour.\nRef AIA-7F3K2Q9D",
		"<div>The tunnel of <b>HC-FW-01</b> drops &amp; returns: renew the key every hour.</div><div></div>",
		"<p>The tunnel of HC-FW-01 drops &amp; returns: renew the key every hour.</p><p>Ref </p>",
	}
	for _, s := range same {
		require.Equal(t, contentHash(sent, "AIA-7F3K2Q9D"), contentHash(s, "AIA-7F3K2Q9D"), s)
	}
	other := strings.Replace(sent, "hour", "day", 1)
	require.NotEqual(t, contentHash(sent, "AIA-7F3K2Q9D"), contentHash(other, "AIA-7F3K2Q9D"))
	require.Nil(t, contentHash("<p>Call me back</p>", "AIA-7F3K2Q9D"))
}

func TestTextOfHTML(t *testing.T) {
	t.Parallel()
	for markup, want := range map[string]string{
		"plain  text\nwith lines":                                  "plain text\nwith lines",
		"<p>One</p><p>Two<br>Three</p>":                            "One\n\nTwo\nThree",
		"<ul><li>a</li><li>b</li></ul>":                            "- a\n- b",
		"a<script>alert(1)</script>b<style>p{}</style>c<!-- d -->": "abc",
		"&lt;b&gt; &amp;lt; &nbsp;x":                               "<b> &lt; x",
		"<table><tr><td>10.0.0.1</td><td>down</td></tr></table>":   "10.0.0.1 down",
		"": "",
	} {
		require.Equal(t, want, textOf(markup), markup)
	}
}
