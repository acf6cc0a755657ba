package feed

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"aiagents/internal/fault"
)

func TestTicketsKeepsWhatIsSolved(t *testing.T) {
	t.Parallel()
	b := setup(t)
	blank, foreign, byDate := solved("2", 50*time.Hour), solved("3", 40*time.Hour), solved("5", 20*time.Hour)
	blank.resolution, foreign.foreign = "  ", true
	byDate.Status, byDate.ResolvedAt = "Fixed by magic", ago(21*time.Hour)
	b.desk.add(solved("1", 60*time.Hour), blank, foreign, opened("4", 30*time.Hour), byDate, solved("6", 10*time.Hour), solved("gone", 9*time.Hour))
	b.desk.gone = map[string]bool{"gone": true}

	var last Progress
	res, err := b.SyncTickets(t.Context(), "acme", SyncOptions{Progress: func(p Progress) { last = p }})
	require.NoError(t, err)
	require.Equal(t, Result{Kind: "tickets", Outcome: "ok", Counts: Counts{Listed: 6, Fetched: 5, Added: 3, Skipped: 3}}, res)
	require.Equal(t, []string{"acme/1", "acme/5", "acme/6"}, b.store.ids())
	require.NotContains(t, b.desk.fetches, "4", "an open ticket is not fetched")
	kept := b.store.tickets["acme/1"]
	require.Equal(t, "sync", kept.Source)
	require.Equal(t, ago(60*time.Hour), kept.ResolvedAt, "the last update stands in for a missing date")
	require.Equal(t, ago(21*time.Hour), b.store.tickets["acme/5"].ResolvedAt)
	require.Equal(t, Progress{Counts: res.Counts, From: ago(90 * 24 * time.Hour), Through: ago(9 * time.Hour)}, last)
	state := b.state(t, KindTickets)
	require.Equal(t, "ok", state.LastResult)
	require.Equal(t, res.Counts, state.Counts)
	require.NotNil(t, state.LastSuccessAt)

	b.desk.add(solved("7", time.Hour))
	b.desk.fetches = nil
	res, err = b.SyncTickets(t.Context(), "acme", SyncOptions{})
	require.NoError(t, err)
	require.Equal(t, 1, res.Added)
	require.ElementsMatch(t, []string{"gone", "7"}, b.desk.fetches, "an increment reads the overlap and what is new")
}

func TestTicketsGoOnWhereARunDied(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i := range 10 {
		b.desk.add(solved(fmt.Sprint(i), time.Duration(100-10*i)*time.Hour))
	}
	b.desk.faults = []error{nil, nil, fault.New(fault.Unavailable, "the service desk does not answer as it should")}
	res, err := b.SyncTickets(t.Context(), "acme", SyncOptions{})
	require.True(t, fault.Is(err, fault.Unavailable))
	require.Equal(t, OutcomeFailed, res.Outcome)
	state := b.state(t, KindTickets)
	require.Equal(t, "failed", state.LastResult)
	require.Equal(t, "the service desk does not answer as it should", state.LastError)
	require.Nil(t, state.LastSuccessAt)
	require.Len(t, b.store.ids(), 5)

	b.desk.queries = nil
	_, err = b.SyncTickets(t.Context(), "acme", SyncOptions{})
	require.NoError(t, err)
	require.Equal(t, ago(60*time.Hour).Add(-10*time.Minute), b.desk.queries[0].UpdatedSince.UTC(), "it begins at the last page and not at the front")
	require.Len(t, b.store.ids(), 10)
	require.Empty(t, b.state(t, KindTickets).LastError)
}

func TestTicketsMissNothingThatMovesWhileTheListIsRead(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i := range 9 {
		b.desk.add(solved(fmt.Sprint(i), time.Duration(90-10*i)*time.Hour))
	}
	b.desk.listed = func(page int) {
		if page <= 2 { // the first rows of the list move to its end, and all others one place ahead
			b.desk.add(solved(fmt.Sprint(page-1), time.Duration(3-page)*time.Minute))
		}
	}
	_, err := b.SyncTickets(t.Context(), "acme", SyncOptions{})
	require.NoError(t, err)
	require.Len(t, b.store.ids(), 9)
}

func TestTicketsGetPastPagesOfOneTimeAndHiddenOnes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i := range 8 {
		b.desk.add(solved(fmt.Sprint("same", i), 50*time.Hour))
		hidden := solved(fmt.Sprint("hidden", i), 40*time.Hour)
		hidden.foreign = true
		b.desk.add(hidden)
	}
	b.desk.add(solved("last", time.Hour))
	_, err := b.SyncTickets(t.Context(), "acme", SyncOptions{})
	require.NoError(t, err)
	require.Len(t, b.store.ids(), 9)
	require.Len(t, b.desk.fetches, 9, "rows that pages share are fetched once")
}

func TestTicketsWaitForADeskThatLimits(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.desk.add(solved("1", time.Hour))
	limited := fault.New(fault.Limited, "the service desk limits our requests")
	b.desk.faults = []error{fault.New(fault.Limited, "slow").WithRetryAfter(7 * time.Second), limited}
	_, err := b.SyncTickets(t.Context(), "acme", SyncOptions{})
	require.NoError(t, err)
	require.Equal(t, []time.Duration{7 * time.Second, defaultWait}, b.waits)
	require.Len(t, b.store.ids(), 1)

	b.waits = nil
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	b.desk.faults = []error{limited}
	_, err = b.SyncTickets(ctx, "acme", SyncOptions{})
	require.True(t, fault.Is(err, fault.Limited), "no wait that would outlast the run")
	require.Empty(t, b.waits)

	for range maxWaits + 1 {
		b.desk.faults = append(b.desk.faults, limited)
	}
	_, err = b.SyncTickets(t.Context(), "acme", SyncOptions{})
	require.True(t, fault.Is(err, fault.Limited), "patience ends")
}

func TestTicketsGoBackAsFarAsAsked(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.desk.add(solved("old", 5000*time.Hour), solved("new", 10*time.Hour))
	sync := func(since time.Time) time.Time {
		b.desk.queries = nil
		_, err := b.SyncTickets(t.Context(), "acme", SyncOptions{Since: since})
		require.NoError(t, err)
		return b.desk.queries[0].UpdatedSince.UTC()
	}
	require.Equal(t, ago(100*time.Hour), sync(ago(100*time.Hour)))
	require.Equal(t, []string{"acme/new"}, b.store.ids())
	require.Equal(t, ago(10*time.Hour+10*time.Minute), sync(ago(50*time.Hour)), "less than was read already changes nothing")
	require.Equal(t, ago(6000*time.Hour), sync(ago(6000*time.Hour)))
	require.Equal(t, []string{"acme/new", "acme/old"}, b.store.ids())
	require.Equal(t, ago(10*time.Hour+10*time.Minute), sync(time.Time{}))
}

func TestTicketsOfADeskWhoseClockIsAhead(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.desk.add(solved("1", -2*time.Hour))
	_, err := b.SyncTickets(t.Context(), "acme", SyncOptions{})
	require.NoError(t, err)
	require.Equal(t, now, b.state(t, KindTickets).CursorAt.UTC(), "the cursor does not run ahead of us")
}

func TestTicketsStopCleanly(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i := range 9 {
		b.desk.add(solved(fmt.Sprint(i), time.Duration(90-10*i)*time.Hour))
	}
	ctx, cancel := context.WithCancel(t.Context())
	res, err := b.SyncTickets(ctx, "acme", SyncOptions{Progress: func(p Progress) {
		if p.Listed >= 5 {
			cancel()
		}
	}})
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, OutcomePartial, res.Outcome)
	require.Equal(t, "partial", b.state(t, KindTickets).LastResult)
	_, err = b.SyncTickets(t.Context(), "acme", SyncOptions{})
	require.NoError(t, err, "the lease was given back at once")
	require.Len(t, b.store.ids(), 9)
}

func TestOneRunATenantAndKind(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.desk.add(solved("1", time.Hour))
	var first error
	res, err := b.SyncTickets(t.Context(), "acme", SyncOptions{Progress: func(Progress) {
		_, first = b.SyncTickets(t.Context(), "acme", SyncOptions{})
		_, other := b.SyncSolutions(t.Context(), "acme", nil)
		require.NoError(t, other, "another kind is free")
	}})
	require.NoError(t, err)
	require.Equal(t, OutcomeOK, res.Outcome)
	require.ErrorIs(t, first, errHeld)
}

func TestARunThatWasPresumedDeadWritesNothingMore(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i := range 4 {
		b.desk.add(solved(fmt.Sprint(i), time.Duration(90-10*i)*time.Hour))
	}
	var second error
	_, err := b.SyncTickets(t.Context(), "acme", SyncOptions{Progress: func(p Progress) {
		if p.Listed == 3 { // it stalls, its lease runs out, another one does the work
			b.exec(t, `UPDATE feed_state SET lease_until = now() - interval '1 second' WHERE tenant_id = 'acme'`)
			_, second = b.SyncTickets(t.Context(), "acme", SyncOptions{})
		}
	}})
	require.NoError(t, second)
	require.ErrorIs(t, err, errLost)
	require.Equal(t, "ok", b.state(t, KindTickets).LastResult, "the state is the second run's")
}

func TestTheLeaseIsRenewedAndItsLossEndsTheWork(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.leaseTime = time.Second
	_, err := b.hold(t.Context(), "acme", KindTickets, 0, func(ctx context.Context, _ *run) error {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(2 * b.leaseTime): // longer than the lease, so it must have been renewed
		}
		_, err := b.SyncTickets(ctx, "acme", SyncOptions{})
		require.ErrorIs(t, err, errHeld)
		b.exec(t, `UPDATE feed_state SET lease = gen_random_uuid() WHERE tenant_id = 'acme'`)
		<-ctx.Done()
		return ctx.Err()
	})
	require.ErrorIs(t, err, errLost)
}

func TestPrivateCausesStayOutOfTheState(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.desk.add(solved("1", time.Hour))
	b.store.err = errors.New("secret detail")
	_, err := b.SyncTickets(t.Context(), "acme", SyncOptions{})
	require.ErrorContains(t, err, "secret detail")
	require.Equal(t, "an internal error", b.state(t, KindTickets).LastError)
}
