package servicedesk_test

import (
	"context"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"aiagents/internal/simulator/servicedesk"
)

// Every fault on adding a note: what the client sees and whether the note is there.
func TestFaultsOnAddingANote(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		fault   servicedesk.Fault
		status  int // 0: no answer
		applied int
	}{
		{servicedesk.Fault{Kind: servicedesk.ErrorBeforeApply}, 500, 0},
		{servicedesk.Fault{Kind: servicedesk.ErrorBeforeApply, Status: 503}, 503, 0},
		{servicedesk.Fault{Kind: servicedesk.ErrorAfterApply}, 500, 1},
		{servicedesk.Fault{Kind: servicedesk.CutBeforeApply}, 0, 0},
		{servicedesk.Fault{Kind: servicedesk.CutAfterApply}, 0, 1},
		{servicedesk.Fault{Kind: servicedesk.TruncateAnswer}, 0, 1},
		{servicedesk.Fault{Kind: servicedesk.ApplyLate, Delay: time.Millisecond}, 200, 1},
		{servicedesk.Fault{Kind: servicedesk.SlowDrip, Delay: time.Microsecond}, 200, 1},
		{servicedesk.Fault{Kind: servicedesk.Unauthorized}, 401, 0},
		{servicedesk.Fault{Kind: servicedesk.Forbidden}, 403, 0},
		{servicedesk.Fault{Kind: servicedesk.NotFound}, 404, 0},
		{servicedesk.Fault{Kind: servicedesk.TooManyRequests, RetryAfter: 1500 * time.Millisecond}, 429, 0},
		{servicedesk.Fault{Kind: servicedesk.Redirect, Location: "http://169.254.169.254/"}, 307, 0},
		{servicedesk.Fault{Kind: servicedesk.HTMLPage}, 200, 0},
	} {
		t.Run(string(tc.fault.Kind), func(t *testing.T) {
			t.Parallel()
			c := start(t, servicedesk.Options{})
			id := c.ticket(servicedesk.Ticket{})
			f := tc.fault
			f.Times, f.Operation = 1, servicedesk.NotesAdd
			c.desk.AddFault(f)
			require.Equal(t, 200, c.get("/requests/"+id).status, "other operations are spared")
			g, err := c.try(t.Context(), "POST", c.prefix+"/requests/"+id+"/notes", formType, form(`{"note":{"description":"Ref AIA-1"}}`))
			if tc.status == 0 {
				require.Error(t, err)
			} else {
				require.NoError(t, err)
				require.Equal(t, tc.status, g.status)
			}
			require.Len(t, c.desk.Notes(id), tc.applied)
			require.Equal(t, f.Location, g.header.Get("Location"))
			if f.RetryAfter > 0 {
				require.Equal(t, "2", g.header.Get("Retry-After"), "whole seconds, rounded up")
			}
			if f.Kind == servicedesk.HTMLPage {
				require.Nil(t, g.json)
			}
			require.Equal(t, f.Kind, c.desk.Requests()[1].Fault)
			require.Equal(t, 200, c.note(id, "again").status, "used up after one")
		})
	}
}

func TestStallEndsWithTheCaller(t *testing.T) {
	t.Parallel()
	c := start(t, servicedesk.Options{})
	id := c.ticket(servicedesk.Ticket{})
	c.desk.AddFault(servicedesk.Fault{Kind: servicedesk.Stall})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	_, err := c.try(ctx, "GET", c.prefix+"/requests/"+id, "", "")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Len(t, c.desk.Requests(), 1, "seen even without an answer")
	require.Zero(t, c.desk.Requests()[0].Status)
}

func TestCloseEndsStalledRequests(t *testing.T) {
	t.Parallel()
	c := start(t, servicedesk.Options{})
	id := c.ticket(servicedesk.Ticket{})
	c.desk.AddFault(servicedesk.Fault{Kind: servicedesk.Stall})
	failed := make(chan error, 1)
	go func() {
		_, err := c.try(context.Background(), "GET", c.prefix+"/requests/"+id, "", "")
		failed <- err
	}()
	require.Eventually(t, func() bool { return c.desk.Count("") == 1 }, time.Second, time.Millisecond)
	require.NoError(t, c.desk.Close())
	require.Error(t, <-failed)
}

func TestApplyLateAfterTheCallerLeft(t *testing.T) {
	t.Parallel()
	c := start(t, servicedesk.Options{})
	id := c.ticket(servicedesk.Ticket{})
	c.desk.AddFault(servicedesk.Fault{Kind: servicedesk.ApplyLate, Delay: 80 * time.Millisecond, Times: 1})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err := c.try(ctx, "POST", c.prefix+"/requests/"+id+"/notes", formType, form(`{"note":{"description":"x"}}`))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Empty(t, c.desk.Notes(id))
	require.Eventually(t, func() bool { return len(c.desk.Notes(id)) == 1 }, 2*time.Second, time.Millisecond)

	c.desk.AddFault(servicedesk.Fault{Kind: servicedesk.ApplyLate, Delay: 20 * time.Millisecond, Status: 504, Times: 1})
	require.Equal(t, 504, c.note(id, "y").status)
	require.Eventually(t, func() bool { return len(c.desk.Notes(id)) == 2 }, 2*time.Second, time.Millisecond)
}

func TestListLagHidesYoungNotes(t *testing.T) {
	t.Parallel()
	now := newClock()
	c := start(t, servicedesk.Options{Clock: now.Now})
	id := c.ticket(servicedesk.Ticket{})
	c.desk.AddFault(servicedesk.Fault{Kind: servicedesk.ListLag, Delay: 3 * time.Second})
	c.note(id, "x")
	require.Empty(t, c.get("/requests/"+id+"/notes").rows(t, "notes"))
	require.Empty(t, c.get("/requests").rows(t, "requests"))
	require.Len(t, c.desk.Notes(id), 1, "applied all the same")
	now.Add(3 * time.Second)
	require.Len(t, c.get("/requests/"+id+"/notes").rows(t, "notes"), 1)
	require.Len(t, c.get("/requests").rows(t, "requests"), 1)
}

func TestStripMarker(t *testing.T) {
	t.Parallel()
	c := start(t, servicedesk.Options{})
	id := c.ticket(servicedesk.Ticket{})
	c.desk.AddFault(servicedesk.Fault{Kind: servicedesk.StripMarker, Times: 1})
	c.desk.AddFault(servicedesk.Fault{Kind: servicedesk.StripMarker, Times: 1, Pattern: regexp.MustCompile(`secret`)})
	c.note(id, "<p>text secret</p><p>Ref AIA-7F3K2Q9D</p>")
	require.Equal(t, "<p>text </p><p></p>", c.desk.Notes(id)[0].Description)
	c.note(id, "Ref AIA-7F3K2Q9D")
	require.Equal(t, "Ref AIA-7F3K2Q9D", c.desk.Notes(id)[1].Description)
}

func TestFaultSelectors(t *testing.T) {
	t.Parallel()
	c := start(t, servicedesk.Options{
		Edition: servicedesk.MSPOnPrem, Accounts: []servicedesk.Account{{ID: "10", Name: "Acme"}, {ID: "20", Name: "Globex"}},
	})
	a, a2 := c.ticket(servicedesk.Ticket{AccountID: "10"}), c.ticket(servicedesk.Ticket{AccountID: "10"})
	b := c.ticket(servicedesk.Ticket{AccountID: "20"})
	status := func(id string) int { return c.get("/requests/" + id).status }

	c.desk.AddFault(servicedesk.Fault{Kind: servicedesk.Forbidden, Account: "10"})
	require.Equal(t, []int{403, 403, 200}, []int{status(a), status(a2), status(b)})
	c.desk.ClearFaults()
	c.desk.AddFault(servicedesk.Fault{Kind: servicedesk.NotFound, Ticket: a2, Times: 2})
	require.Equal(t, []int{200, 404, 404, 200}, []int{status(a), status(a2), status(a2), status(a2)})
}

func TestFaultProbabilityIsSeeded(t *testing.T) {
	t.Parallel()
	run := func(seed uint64) (hits int, trace string) {
		c := start(t, servicedesk.Options{Seed: seed})
		id := c.ticket(servicedesk.Ticket{})
		c.desk.AddFault(servicedesk.Fault{Kind: servicedesk.ErrorBeforeApply, Probability: 0.3})
		for range 200 {
			if c.get("/requests/"+id).status == 500 {
				hits++
				trace += "x"
			} else {
				trace += "."
			}
		}
		return hits, trace
	}
	hits, first := run(7)
	_, second := run(7)
	_, other := run(8)
	require.Equal(t, first, second)
	require.NotEqual(t, first, other)
	require.InDelta(t, 60, hits, 30)
}

func TestFaultsDoNotHideRefusals(t *testing.T) {
	t.Parallel()
	c := start(t, servicedesk.Options{})
	c.desk.AddFault(servicedesk.Fault{Kind: servicedesk.ErrorBeforeApply, Times: 1})
	c.header.Set("Authtoken", "wrong")
	require.Equal(t, 401, c.get("/requests/1").status, "an unauthenticated call uses no fault up")
}
