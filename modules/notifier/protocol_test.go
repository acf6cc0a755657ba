package notifier

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"aiagents/internal/fault"
	"aiagents/internal/simulator/servicedesk"
)

// finish runs the enhancement as its job would: a new epoch each run, and the waiting time that the fault names.
func (b *bench) finish(r PostRequest, modules ...*Module) (Result, error) {
	b.t.Helper()
	for run := range 40 {
		m := modules[run%len(modules)]
		result, err := m.Post(b.t.Context(), r)
		if err == nil {
			return result, nil
		}
		wait := fault.RetryAfterOf(err)
		if wait == 0 && fault.Is(err, fault.Unavailable) {
			wait = 20 * time.Millisecond
		}
		if wait == 0 {
			return result, err
		}
		require.Less(b.t, wait, 10*time.Second, "%v", err)
		require.NoError(b.t, pauseFor(b.t.Context(), wait))
		r.Epoch++
	}
	return Result{}, errors.New("no end after 40 runs")
}

func requireCode(t *testing.T, err error, kind fault.Kind, code string) {
	t.Helper()
	var f *fault.Error
	require.ErrorAs(t, err, &f)
	require.Equal(t, kind, f.Kind, "%v", err)
	require.Equal(t, code, f.Code, "%v", err)
}

func TestAnAmbiguousRequestEndsAsOneNote(t *testing.T) {
	t.Parallel()
	const add = servicedesk.NotesAdd
	for name, c := range map[string]struct {
		fault servicedesk.Fault
		posts int // requests that reach the desk
	}{
		"500 after applying":       {servicedesk.Fault{Kind: servicedesk.ErrorAfterApply}, 1},
		"500 before applying":      {servicedesk.Fault{Kind: servicedesk.ErrorBeforeApply}, 2},
		"503 before applying":      {servicedesk.Fault{Kind: servicedesk.ErrorBeforeApply, Status: 503}, 2},
		"408 after applying":       {servicedesk.Fault{Kind: servicedesk.ErrorAfterApply, Status: 408}, 1},
		"cut after applying":       {servicedesk.Fault{Kind: servicedesk.CutAfterApply}, 1},
		"cut before applying":      {servicedesk.Fault{Kind: servicedesk.CutBeforeApply}, 2},
		"answer cut in the middle": {servicedesk.Fault{Kind: servicedesk.TruncateAnswer}, 1},
		"answer too slow":          {servicedesk.Fault{Kind: servicedesk.SlowDrip, Delay: 50 * time.Millisecond}, 1},
		"no answer, not applied":   {servicedesk.Fault{Kind: servicedesk.Stall}, 2},
		"applied after we left":    {servicedesk.Fault{Kind: servicedesk.ApplyLate, Delay: 900 * time.Millisecond}, 1},
		"500, applied later":       {servicedesk.Fault{Kind: servicedesk.ApplyLate, Delay: 300 * time.Millisecond, Status: 500}, 1},
		"login page with 200":      {servicedesk.Fault{Kind: servicedesk.HTMLPage}, 2},
		"redirect with 302":        {servicedesk.Fault{Kind: servicedesk.Redirect, Status: http.StatusFound, Location: "/login"}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, options(servicedesk.OnPrem)).hasty()
			m := b.module()
			r := b.request(b.ticket())
			_, err := m.GetRequest(t.Context(), tenant, r.TicketID) // leaves a kept connection, which must not be used
			require.NoError(t, err)
			c.fault.Operation, c.fault.Times = add, 1
			b.desk.AddFault(c.fault)
			_, err = m.Post(t.Context(), r)
			requireCode(t, err, fault.Unavailable, "NOTE_AMBIGUOUS")
			require.Positive(t, fault.RetryAfterOf(err))
			require.Equal(t, "posting", b.row(r).State)

			r.Epoch++
			early, err := m.Post(t.Context(), r)
			if err != nil {
				requireCode(t, err, fault.Unavailable, "NOTE_AMBIGUOUS")
			} else { // it was slow to answer, and the note stands already
				require.True(t, early.Adopted)
			}
			require.Equal(t, 1, b.desk.Count(add), "nothing is posted before the quiet time is over")
			if err == nil {
				require.Equal(t, 1, c.posts)
				require.Len(t, b.desk.Notes(r.TicketID), 1)
				return
			}

			result, err := b.finish(r, m)
			require.NoError(t, err)
			require.Equal(t, c.posts == 1, result.Adopted)
			require.Len(t, b.desk.Notes(r.TicketID), 1)
			require.Equal(t, c.posts, b.desk.Count(add))
			require.Equal(t, result.NoteID, b.row(r).NoteID)
		})
	}
}

// That a note stands is certain at once; only its absence takes the quiet time.
func TestANoteThatStandsIsAdoptedBeforeTheQuietTimeIsOver(t *testing.T) {
	t.Parallel()
	b := newBench(t, options(servicedesk.OnPrem))
	b.config.ListDelay = 50 * time.Millisecond // of a quiet time of 40 s
	m := b.module()
	r := b.request(b.ticket())
	b.desk.AddFault(servicedesk.Fault{Kind: servicedesk.CutAfterApply, Operation: servicedesk.NotesAdd, Times: 1})
	_, err := m.Post(t.Context(), r)
	requireCode(t, err, fault.Unavailable, "NOTE_AMBIGUOUS")
	require.LessOrEqual(t, fault.RetryAfterOf(err), b.config.ListDelay)
	result, err := b.finish(r, m)
	require.NoError(t, err)
	require.True(t, result.Adopted)
	require.Len(t, b.desk.Notes(r.TicketID), 1)

	gone := b.request(b.ticket())
	b.desk.AddFault(servicedesk.Fault{Kind: servicedesk.CutBeforeApply, Operation: servicedesk.NotesAdd, Times: 1})
	_, err = m.Post(t.Context(), gone)
	require.Error(t, err)
	require.NoError(t, pauseFor(t.Context(), b.config.ListDelay))
	posts, looks := b.desk.Count(servicedesk.NotesAdd), b.desk.Count(servicedesk.NotesList)
	gone.Epoch++
	_, err = m.Post(t.Context(), gone)
	requireCode(t, err, fault.Unavailable, "NOTE_AMBIGUOUS")
	require.Greater(t, fault.RetryAfterOf(err), 30*time.Second, "one early look, then the whole time")
	require.Equal(t, posts, b.desk.Count(servicedesk.NotesAdd), "absence proves nothing yet")
	require.Equal(t, looks+1, b.desk.Count(servicedesk.NotesList))
}

func TestARequestThatProvablyDidNothingIsTakenBack(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault servicedesk.Fault
		kind  fault.Kind
	}{
		"404":          {servicedesk.Fault{Kind: servicedesk.NotFound}, fault.NotFound},
		"429":          {servicedesk.Fault{Kind: servicedesk.TooManyRequests, RetryAfter: time.Second}, fault.Limited},
		"401":          {servicedesk.Fault{Kind: servicedesk.Unauthorized}, fault.Unauthenticated},
		"403":          {servicedesk.Fault{Kind: servicedesk.Forbidden}, fault.Forbidden},
		"redirect 307": {servicedesk.Fault{Kind: servicedesk.Redirect, Location: "/elsewhere"}, fault.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, options(servicedesk.OnPrem))
			m := b.module()
			r := b.request(b.ticket())
			c.fault.Operation, c.fault.Times = servicedesk.NotesAdd, 1
			b.desk.AddFault(c.fault)
			_, err := m.Post(t.Context(), r)
			require.Equal(t, c.kind, fault.KindOf(err), "%v", err)
			require.Equal(t, "ready", b.row(r).State)
			require.Zero(t, b.row(r).Posts)
			if wait := fault.RetryAfterOf(err); wait > 0 {
				require.NoError(t, pauseFor(t.Context(), wait))
			}
			r.Epoch++
			_, err = b.finish(r, m)
			require.NoError(t, err, "a later run posts without waiting and without searching")
			require.Len(t, b.desk.Notes(r.TicketID), 1)
			require.Zero(t, b.desk.Count(servicedesk.NotesList))
		})
	}
}

func TestADeskThatCannotBeReachedHasNotBeenPosted(t *testing.T) {
	t.Parallel()
	b := newBench(t, options(servicedesk.OnPrem))
	good := b.conns.byID[tenant].BaseURL
	m := b.module()
	r := b.request(b.ticket())
	for name, c := range map[string]struct{ url, code string }{
		"connection refused": {"http://127.0.0.1:1", "DESK_UNAVAILABLE"},
		"no such name":       {"http://desk.invalid", "DESK_UNAVAILABLE"},
		"TLS to plain http":  {strings.Replace(good, "http:", "https:", 1), "DESK_UNAVAILABLE"},
	} {
		b.conns.change(tenant, func(c2 *Connection) { c2.BaseURL = c.url })
		_, err := m.Post(t.Context(), r)
		requireCode(t, err, fault.Unavailable, c.code)
		require.Zero(t, fault.RetryAfterOf(err), name)
		require.Equal(t, "ready", b.row(r).State, name)
	}
	b.conns.change(tenant, func(c *Connection) { c.BaseURL = good })
	_, err := m.Post(t.Context(), r)
	require.NoError(t, err)
	require.Len(t, b.desk.Notes(r.TicketID), 1)
}

// die ends a run at a crash point as a killed process would: nothing that comes after happens.
func die(run func()) {
	defer func() { _ = recover() }()
	run()
}

func TestADeadWorkersNoteIsFinishedByTheNextOne(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		at    func(*hooks, func())
		posts int
	}{
		"intent committed, nothing sent":   {func(h *hooks, f func()) { h.intentMade = f }, 1},
		"note applied, answer not written": {func(h *hooks, f func()) { h.answered = f }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, options(servicedesk.OnPrem)).hasty()
			victim, heir := b.module(), b.module()
			c.at(&victim.hooks, func() { panic("killed") })
			r := b.request(b.ticket())
			die(func() { _, _ = victim.Post(t.Context(), r) })
			require.Equal(t, "posting", b.row(r).State)
			r.Epoch++
			_, err := heir.Post(t.Context(), r)
			requireCode(t, err, fault.Unavailable, "NOTE_AMBIGUOUS")
			_, err = b.finish(r, heir)
			require.NoError(t, err)
			require.Len(t, b.desk.Notes(r.TicketID), 1)
			require.Equal(t, c.posts, b.desk.Count(servicedesk.NotesAdd))
		})
	}
}

func TestACrashAfterTheAnswerWasRecordedCostsNoWaiting(t *testing.T) {
	t.Parallel()
	b := newBench(t, options(servicedesk.OnPrem))
	r := b.request(b.ticket())
	_, err := b.module().Post(t.Context(), r)
	require.NoError(t, err) // and dies before its caller's transaction
	r.Epoch++
	result, err := b.module().Post(t.Context(), r)
	require.NoError(t, err)
	require.True(t, result.Updated)
	require.Len(t, b.desk.Notes(r.TicketID), 1)
}

func TestAZombieIsFenced(t *testing.T) {
	t.Parallel()
	b := newBench(t, options(servicedesk.OnPrem)).hasty()
	zombie, heir := b.module(), b.module()
	frozen, thaw := make(chan struct{}), make(chan struct{})
	zombie.hooks.intentMade = func() { close(frozen); <-thaw }
	r := b.request(b.ticket())
	var zombieErr error
	var done sync.WaitGroup
	done.Go(func() { _, zombieErr = zombie.Post(t.Context(), r) })
	<-frozen
	newer := r
	newer.Epoch = 2
	_, err := b.finish(newer, heir)
	require.NoError(t, err)
	close(thaw)
	done.Wait()
	require.Error(t, zombieErr, "its time was over before it sent anything")
	require.Len(t, b.desk.Notes(r.TicketID), 1)
	require.Equal(t, 1, b.desk.Count(servicedesk.NotesAdd))
	require.Equal(t, "posted", b.row(r).State, "it took back nothing that was not its own")

	_, err = zombie.Post(t.Context(), r)
	requireCode(t, err, fault.Conflict, "FENCED")
	require.Error(t, b.record(r, "1"))
	row := b.row(r)
	newer.Epoch = row.Epoch
	require.NoError(t, b.record(newer, row.NoteID))
}

// record confirms a note as the caller's finishing transaction does.
func (b *bench) record(r PostRequest, noteID string) error {
	m := b.module()
	return b.db.InTenantTx(b.t.Context(), tenant, func(ctx context.Context, tx pgx.Tx) error {
		return m.RecordPostedTx(ctx, tx, r, noteID)
	})
}

func TestAZombiesAnswerIsAFactEvenWhenItIsFenced(t *testing.T) {
	t.Parallel()
	b := newBench(t, options(servicedesk.OnPrem))
	zombie, heir := b.module(), b.module()
	newer := b.request(b.ticket())
	r := newer
	newer.Epoch = 2
	zombie.hooks.answered = func() { // its note is applied; now a new owner takes over and waits
		_, err := heir.Post(t.Context(), newer)
		requireCode(t, err, fault.Unavailable, "NOTE_AMBIGUOUS")
	}
	_, err := zombie.Post(t.Context(), r)
	requireCode(t, err, fault.Conflict, "FENCED")
	result, err := heir.Post(t.Context(), newer)
	require.NoError(t, err, "the note is known, so there is nothing to wait for")
	require.Equal(t, b.desk.Notes(r.TicketID)[0].ID, result.NoteID)
	require.Len(t, b.desk.Notes(r.TicketID), 1)
}

func TestTwoRunsAtOncePostOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t, options(servicedesk.OnPrem)).hasty()
	r := b.request(b.ticket())
	modules := []*Module{b.module(), b.module()}
	var runs sync.WaitGroup
	for i := range 8 {
		runs.Go(func() {
			r := r
			r.Epoch = int64(1 + i)
			_, _ = modules[i%2].Post(t.Context(), r)
		})
	}
	runs.Wait()
	r.Epoch = 100
	_, err := b.finish(r, modules...)
	require.NoError(t, err)
	require.Len(t, b.desk.Notes(r.TicketID), 1)
}

func TestACancelledCallerDoesNotCutTheRequest(t *testing.T) {
	t.Parallel()
	b := newBench(t, options(servicedesk.OnPrem))
	m := b.module()
	r := b.request(b.ticket())
	ctx, cancel := context.WithCancel(t.Context())
	m.hooks.intentMade = cancel
	result, err := m.Post(ctx, r)
	require.NoError(t, err)
	require.Equal(t, b.desk.Notes(r.TicketID)[0].ID, result.NoteID)
	require.Equal(t, "posted", b.row(r).State)
}

func TestNeverRepostLeavesTheDecisionToAPerson(t *testing.T) {
	t.Parallel()
	b := newBench(t, options(servicedesk.OnPrem)).hasty()
	b.conns.change(tenant, func(c *Connection) { c.OnAmbiguous = NeverRepost })
	m := b.module()
	lost, kept := b.request(b.ticket()), b.request(b.ticket())
	b.desk.AddFault(servicedesk.Fault{Kind: servicedesk.CutBeforeApply, Operation: servicedesk.NotesAdd, Ticket: lost.TicketID, Times: 1})
	b.desk.AddFault(servicedesk.Fault{Kind: servicedesk.CutAfterApply, Operation: servicedesk.NotesAdd, Ticket: kept.TicketID, Times: 1})
	_, err := b.finish(lost, m)
	requireCode(t, err, fault.Conflict, "NOTE_UNRESOLVED")
	require.Empty(t, b.desk.Notes(lost.TicketID))
	result, err := b.finish(kept, m)
	require.NoError(t, err)
	require.True(t, result.Adopted, "a note that is found needs no decision")

	lost.Epoch, lost.Repost = 50, true
	_, err = b.finish(lost, m)
	require.NoError(t, err)
	require.Len(t, b.desk.Notes(lost.TicketID), 1)
}

func TestAfterARestoreTheTicketIsAskedFirst(t *testing.T) {
	t.Parallel()
	b := newBench(t, options(servicedesk.OnPrem))
	m := b.module()
	r := b.request(b.ticket())
	_, err := m.Post(t.Context(), r)
	require.NoError(t, err)
	b.exec(`DELETE FROM note_posts WHERE tenant_id = $1`, tenant) // the backup was older than the note
	r.VerifyFirst = true
	result, err := m.Post(t.Context(), r)
	require.NoError(t, err)
	require.True(t, result.Adopted)
	require.Len(t, b.desk.Notes(r.TicketID), 1)

	b.exec(`DELETE FROM note_posts WHERE tenant_id = $1`, tenant)
	r.VerifyFirst = false
	_, err = m.Post(t.Context(), r)
	require.NoError(t, err)
	require.Len(t, b.desk.Notes(r.TicketID), 2, "without asking first it would stand twice")
}

func TestARowThatASweepSettledIsLookedAtAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t, options(servicedesk.OnPrem)).hasty()
	m := b.module()
	r := b.request(b.ticket())
	b.desk.AddFault(servicedesk.Fault{Kind: servicedesk.CutAfterApply, Operation: servicedesk.NotesAdd, Times: 1})
	_, err := m.Post(t.Context(), r)
	require.Error(t, err)
	seen := b.row(r)
	b.exec(`UPDATE note_posts SET post_started_at = post_started_at - interval '1 minute' WHERE tenant_id = $1`, tenant)
	_, err = m.Sweep(t.Context(), tenant)
	require.NoError(t, err)
	_, err = m.store.again(t.Context(), intent{PostRequest: r}, seen, false)
	requireCode(t, err, fault.Unavailable, "NOTE_MOVED_ON")
	require.Positive(t, fault.RetryAfterOf(err))
	_, err = b.finish(r, m)
	require.NoError(t, err)
	require.Len(t, b.desk.Notes(r.TicketID), 1)
}

func TestAStandingNoteGetsTheNewText(t *testing.T) {
	t.Parallel()
	b := newBench(t, options(servicedesk.OnPrem))
	m := b.module()
	r := b.request(b.ticket())
	first, err := m.Post(t.Context(), r)
	require.NoError(t, err)
	r.Epoch++
	r.HTML = strings.Replace(r.HTML, "firmware 7.2", "firmware 7.3", 1)
	b.desk.AddFault(servicedesk.Fault{Kind: servicedesk.CutAfterApply, Operation: servicedesk.NotesUpdate, Times: 1})
	second, err := b.finish(r, m)
	require.NoError(t, err)
	require.True(t, second.Updated)
	require.Equal(t, first.NoteID, second.NoteID)
	notes := b.desk.Notes(r.TicketID)
	require.Len(t, notes, 1)
	require.Contains(t, notes[0].Description, "7.3")
	require.False(t, notes[0].ShowToRequester)

	req, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, b.server.URL+"/api/v3/requests/"+r.TicketID+"/notes/"+first.NoteID, nil)
	require.NoError(t, err)
	req.Header.Set("authtoken", key)
	req.Header.Set("Accept", acceptV3)
	resp, err := http.DefaultClient.Do(req) // a technician deletes the note
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Empty(t, b.desk.Notes(r.TicketID))
	http.DefaultClient.CloseIdleConnections()
	r.Epoch++
	_, err = m.Post(t.Context(), r)
	require.NoError(t, err)
	require.Len(t, b.desk.Notes(r.TicketID), 1, "a note that is gone is posted anew")
}
