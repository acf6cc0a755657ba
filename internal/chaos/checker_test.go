package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"aiagents/internal/simulator/openai"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func after(seconds float64) time.Time { return noon.Add(time.Duration(seconds * float64(time.Second))) }

// sound is the evidence of two tickets of two tenants with which all is well.
func sound() evidence {
	e := evidence{
		canaries: map[string]string{"a": "canaryaaaaaa", "b": "canarybbbbbb"}, known: map[ticketKey]bool{}, done: &timeline{},
		claims: map[string][]time.Time{"run-a": {after(0.1)}, "run-b": {after(0.1)}},
		stored: map[string]time.Time{"run-a": after(2.1), "run-b": after(2.1)}, waited: true,
	}
	for _, tenant := range []string{"a", "b"} {
		run, mark := "run-"+tenant, "event"+tenant
		e.known[ticketKey{tenant, "1"}] = true
		e.filed = append(e.filed, filed{tenant: tenant, ticket: "1", mark: mark, at: noon})
		e.accepted = append(e.accepted, acceptance{Tenant: tenant, Ticket: "1", Event: eventCreated, Mark: mark, JobID: run, At: noon})
		e.rows = append(e.rows, row{Tenant: tenant, ID: run, Ticket: "1", Event: eventCreated, Status: "completed", Outcome: "note", Reference: "AIA-" + tenant})
		e.notes = append(e.notes, standing{tenant: tenant, ticket: "1", id: "n" + tenant, html: e.canaries[tenant] + " Ref AIA-" + tenant, added: after(3)})
		e.calls = append(e.calls, modelCall{process: "work-1.1", event: mark, canaries: []string{e.canaries[tenant]}, start: after(1), end: after(2), fault: openai.Good})
	}
	return e
}

func TestSoundEvidenceHolds(t *testing.T) {
	t.Parallel()
	f := check(sound())
	require.Empty(t, f.broken)
	require.Equal(t, 2, f.tickets)
	require.Equal(t, []time.Duration{3 * time.Second, 3 * time.Second}, f.latency)
}

// Each invariant is shown to break once, so that a silent checker cannot pass for a sound product.
func TestEachInvariantBreaks(t *testing.T) {
	t.Parallel()
	again := modelCall{process: "work-2.1", event: "eventa", start: after(10), end: after(11), fault: openai.Good}
	for name, c := range map[string]struct {
		forge func(e *evidence)
		says  string
	}{
		"a lost note":       {func(e *evidence) { e.notes = e.notes[1:] }, "promised a note"},
		"a deleted note":    {func(e *evidence) { e.notes[0].deleted = true }, "promised a note"},
		"a silent failure":  {func(e *evidence) { e.notes = e.notes[1:]; e.rows[0].Status = "failed" }, "promised a note"},
		"a second note":     {func(e *evidence) { n := e.notes[0]; n.id = "other"; e.notes = append(e.notes, n) }, "has 2 notes"},
		"another's note":    {func(e *evidence) { e.notes[0].html = "Ref AIA-b" }, "not that of its run"},
		"a foreign text":    {func(e *evidence) { e.notes[0].html += " canarybbbbbb" }, "holds a text of b"},
		"a foreign prompt":  {func(e *evidence) { e.calls[0].canaries = append(e.calls[0].canaries, "canarybbbbbb") }, "texts of 2 tenants"},
		"a note unasked":    {func(e *evidence) { delete(e.known, ticketKey{"a", "1"}) }, "nobody filed it"},
		"an unfinished run": {func(e *evidence) { e.rows[0].Status = "pending" }, `its run is "pending"`},
		"a forgotten row":   {func(e *evidence) { e.rows = e.rows[1:] }, "has no row"},
		"two ids":           {func(e *evidence) { a := e.accepted[0]; a.JobID = "run-b"; e.accepted = append(e.accepted, a) }, "two ids"},
		"an unnoticed ticket": {func(e *evidence) {
			e.filed = append(e.filed, filed{tenant: "a", ticket: "2", at: noon})
		}, "promised a note"},
		"a job left":          {func(e *evidence) { e.openJobs = 1 }, "left in the queue"},
		"no rest":             {func(e *evidence) { e.waited = false }, "did not come to rest"},
		"a secret in a log":   {func(e *evidence) { e.leaks = []string{"the model's key"} }, "in the logs: the model's key"},
		"a call paid again":   {func(e *evidence) { e.stored["run-a"] = time.Time{}; e.calls = append(e.calls, again) }, "asked again"},
		"a process that died": {func(e *evidence) { e.done.problem("serve-1 ended by itself") }, "ended by itself"},
		"an answer thrown away": {func(e *evidence) {
			e.calls = append(e.calls, again)
			e.done.add(window{kind: windowKill, process: "work-1.1", from: after(2.5), to: after(2.5)})
		}, "asked again"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := sound()
			c.forge(&e)
			f := check(e)
			require.NotEmpty(t, f.broken)
			require.Contains(t, strings.Join(f.broken, "\n"), c.says)
		})
	}
}

func TestNamedWindowsExcuseACall(t *testing.T) {
	t.Parallel()
	for name, forge := range map[string]func(e *evidence){
		"the worker died while it asked": func(e *evidence) {
			e.calls[0].aborted = true
			e.done.add(window{kind: windowKill, process: "work-1.1", from: after(1.5), to: after(1.5)})
		},
		"the worker died with the answer (k4)": func(e *evidence) {
			e.done.add(window{kind: windowKill, process: "work-1.1", from: after(2.1), to: after(2.1)})
		},
		"the worker was frozen": func(e *evidence) {
			e.done.add(window{kind: windowFreeze, process: "work-1.1", from: after(1.5), to: after(9)})
		},
		"Postgres was away when the answer came": func(e *evidence) { e.done.add(window{kind: windowPostgres, from: after(1.8), to: after(5)}) },
		"the model misbehaved":                   func(e *evidence) { e.calls[0].fault = openai.Garbage },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := sound()
			e.stored["run-a"] = after(11.1)
			e.calls = append(e.calls, modelCall{process: "work-2.1", event: "eventa", start: after(10), end: after(11), fault: openai.Good})
			forge(&e)
			f := check(e)
			require.Empty(t, f.broken)
			require.Equal(t, map[string]int{name: 1}, f.repaid)
		})
	}
	e := sound()
	e.stored["run-a"] = after(11.1)
	e.calls = append(e.calls, modelCall{process: "work-2.1", event: "eventa", start: after(10), end: after(11), fault: openai.Good})
	e.done.add(window{kind: windowKill, process: "work-3.1", from: after(1.5), to: after(1.5)})
	require.NotEmpty(t, check(e).broken, "the death of another worker excuses nothing")
}

func TestRecoveryRunsFromTheDeathToTheNextClaim(t *testing.T) {
	t.Parallel()
	e := sound()
	e.claims["run-a"] = []time.Time{after(0.1), after(9)}
	e.done.interrupted([]interruption{{tenant: "a", id: "run-a", at: after(2)}, {tenant: "b", id: "run-b", at: after(2)}})
	f := check(e)
	require.Equal(t, []time.Duration{7 * time.Second}, f.recovery)
	require.Equal(t, 1, f.unrecovered)
}

func TestVisibleFailureIsNoLoss(t *testing.T) {
	t.Parallel()
	e := sound()
	e.notes = e.notes[1:]
	e.rows[0].Status, e.rows[0].Message = "failed", "the service desk does not know this ticket"
	f := check(e)
	require.Empty(t, f.broken)
	require.Equal(t, 1, f.failed)
}

func TestLogsAreSearched(t *testing.T) {
	t.Parallel()
	r := &rig{dir: t.TempDir()}
	file := filepath.Join(r.dir, "work.log")
	require.NoError(t, os.WriteFile(file, []byte(`{"message":"x","key":"sk-1"}`), 0o600))
	hits, err := searchFile(file, map[string]string{"the key": "sk-1", "another": "sk-2"})
	require.NoError(t, err)
	require.Equal(t, []string{"the key (work.log)"}, hits)
}

func TestOptions(t *testing.T) {
	t.Parallel()
	o, err := parseOptions([]string{"-scenario", "storm,flood", "-seed", "5"}, os.Stderr)
	require.NoError(t, err)
	require.Equal(t, []string{"storm", "flood"}, o.scenarios)
	same, err := parseOptions([]string{"-seed", "5"}, os.Stderr)
	require.NoError(t, err)
	require.Equal(t, o.dice("model").Uint64(), same.dice("model").Uint64(), "one seed, one sequence")
	require.NotEqual(t, o.dice("model").Uint64(), o.dice("sender").Uint64(), "each part has its own")
	_, err = parseOptions([]string{"-scenario", "nosuch"}, os.Stderr)
	require.ErrorContains(t, err, "-list names them")
}
