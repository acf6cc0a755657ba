package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"aiagents/internal/simulator/openai"
)

// evidence is all that the checker judges by. It holds no handle to the product, so that the checker can be tested on
// forged evidence, once for each invariant.
type evidence struct {
	accepted []acceptance
	notes    []standing         // of all desks, over the whole run
	filed    []filed            // the scenario's tickets
	known    map[ticketKey]bool // tickets filed in the whole run
	rows     []row              // of the scenario's tickets
	openJobs int                // enhance_ticket jobs that are neither completed nor given up
	calls    []modelCall
	canaries map[string]string // tenant to its word
	done     *timeline
	claims   map[string][]time.Time // by run id, in order
	stored   map[string]time.Time   // by run id: when the model's answer was kept for the first time
	leaks    []string               // secrets found in logs
	waited   bool                   // false when the product did not come to rest in time
}

type ticketKey struct{ tenant, ticket string }

// filed is a ticket on a desk, which promises a note: by its webhook's 202, or because reconciliation has to find it.
type filed struct {
	tenant, ticket, mark string
	at                   time.Time
}

// row is what the database says of one delivery.
type row struct {
	Tenant, ID, Ticket, Event, Status, Outcome, Reference string
	Message                                               string
	Calls                                                 int
}

// findings are the verdict on one scenario.
type findings struct {
	accepted, tickets int
	unreported        int // tickets without an accepted webhook, which reconciliation found
	lost, duplicates  int
	everDuplicated    int // notes that stood twice for a while
	failed, factsOnly int
	calls             int
	repaid            map[string]int // calls paid again, by the window that excuses them; "" is none
	recovery, latency []time.Duration
	unrecovered       int
	broken            []string
	latencyByTenant   map[string][]time.Duration
	failures          map[string]int
}

// modelGrace is how long after the model's answer a death still counts as having hit before the answer was stored.
const modelGrace = 3 * time.Second

// check judges the evidence. Every broken invariant is named with the tickets that show it.
func check(e evidence) findings {
	f := findings{
		repaid: map[string]int{}, latencyByTenant: map[string][]time.Duration{}, failures: map[string]int{},
		accepted: len(e.accepted), calls: len(e.calls),
	}
	f.broken = append(f.broken, e.done.problems...)
	if !e.waited {
		f.breaks("the work did not come to rest in time")
	}
	if e.openJobs > 0 {
		f.breaks("%d jobs are left in the queue", e.openJobs)
	}
	for _, leak := range e.leaks {
		f.breaks("in the logs: %s", leak)
	}
	f.checkNotes(e)
	f.checkAnswers(e)
	f.checkCalls(e)
	f.checkRecovery(e)
	return f
}

func (f *findings) breaks(format string, args ...any) {
	const enough = 25
	if len(f.broken) < enough {
		f.broken = append(f.broken, fmt.Sprintf(format, args...))
	}
}

// checkNotes holds every accepted ticket against its desk's journal: one note, the right one, and no note on a ticket
// that nobody filed.
func (f *findings) checkNotes(e evidence) {
	standingBy, everBy := map[ticketKey][]standing{}, map[ticketKey]int{}
	for _, n := range e.notes {
		key := ticketKey{n.tenant, n.ticket}
		everBy[key]++
		if !n.deleted {
			standingBy[key] = append(standingBy[key], n)
		}
		if !e.known[key] {
			f.breaks("%s: ticket %s has a note, and nobody filed it", n.tenant, n.ticket)
		}
		for owner, canary := range e.canaries {
			if owner != n.tenant && strings.Contains(n.html, canary) {
				f.breaks("%s: the note on ticket %s holds a text of %s", n.tenant, n.ticket, owner)
			}
		}
	}
	rows := map[ticketKey]row{}
	for _, r := range e.rows {
		if r.Event == eventCreated && r.Outcome != "skipped" {
			rows[ticketKey{r.Tenant, r.Ticket}] = r
		}
	}
	promised := promises(e.accepted)
	for _, t := range e.filed {
		f.tickets++
		key := ticketKey{t.tenant, t.ticket}
		r, notes := rows[key], standingBy[key]
		since, accepted := promised[key]
		if !accepted {
			since = t.at
			f.unreported++
		}
		switch {
		case len(notes) > 1:
			f.duplicates++
			f.breaks("%s: ticket %s has %d notes", key.tenant, key.ticket, len(notes))
		case len(notes) == 0 && r.Status == "failed" && r.Message != "":
			f.failed++
			f.failures[r.Message]++
		case len(notes) == 0:
			f.lost++
			f.breaks("%s: ticket %s was promised a note at %s and has none (row: %q %q %q)", key.tenant, key.ticket, clock(since), r.Status, r.Outcome, r.Message)
		default:
			f.checkNote(key, since, r, notes[0])
		}
		if everBy[key] > 1 {
			f.everDuplicated++
		}
	}
}

func (f *findings) checkNote(key ticketKey, first time.Time, r row, n standing) {
	if r.Reference == "" || !strings.Contains(n.html, r.Reference) {
		f.breaks("%s: the note on ticket %s is not that of its run (reference %q)", key.tenant, key.ticket, r.Reference)
	}
	if r.Status != "completed" {
		f.breaks("%s: ticket %s has its note, and its run is %q: %s", key.tenant, key.ticket, r.Status, r.Message)
	}
	if r.Outcome == "facts_only" {
		f.factsOnly++
	}
	took := n.added.Sub(first)
	f.latency = append(f.latency, took)
	f.latencyByTenant[key.tenant] = append(f.latencyByTenant[key.tenant], took)
}

// promises are the tickets whose creation was accepted, with the time of the first 202.
func promises(all []acceptance) map[ticketKey]time.Time {
	first := map[ticketKey]time.Time{}
	for _, a := range all {
		if a.Event != eventCreated {
			continue
		}
		key := ticketKey{a.Tenant, a.Ticket}
		if at, known := first[key]; !known || a.At.Before(at) {
			first[key] = a.At
		}
	}
	return first
}

// checkAnswers: one delivery is always answered with the same id, and that id has a row.
func (f *findings) checkAnswers(e evidence) {
	ids := map[[3]string]string{}
	rows := map[string]bool{}
	for _, r := range e.rows {
		rows[r.ID] = true
	}
	for _, a := range e.accepted {
		key := [3]string{a.Tenant, a.Ticket, a.Event}
		if first, known := ids[key]; known && first != a.JobID {
			f.breaks("%s: ticket %s was answered with two ids for one delivery", a.Tenant, a.Ticket)
		}
		ids[key] = a.JobID
		if !rows[a.JobID] {
			f.breaks("%s: ticket %s was answered with 202, and its id %s has no row", a.Tenant, a.Ticket, a.JobID)
		}
	}
}

// checkCalls finds model calls that were paid more than once for one ticket, and the window that excuses each: the model
// itself misbehaved, the process that asked died or froze before the answer was stored, or Postgres was away then. Once
// the answer is stored, nothing excuses another call.
func (f *findings) checkCalls(e evidence) {
	run := map[ticketKey]string{}
	for _, r := range e.rows {
		if r.Event == eventCreated && r.Outcome != "skipped" {
			run[ticketKey{r.Tenant, r.Ticket}] = r.ID
		}
	}
	runs := map[string]string{} // by the word that names the ticket
	for _, t := range e.filed {
		runs[t.mark] = run[ticketKey{t.tenant, t.ticket}]
	}
	byEvent := map[string][]modelCall{}
	for _, c := range e.calls {
		byEvent[c.event] = append(byEvent[c.event], c)
		if len(c.canaries) > 1 {
			f.breaks("a prompt (%s) holds texts of %d tenants", c.event, len(c.canaries))
		}
	}
	for _, event := range slices.Sorted(maps.Keys(byEvent)) {
		calls := byEvent[event]
		slices.SortFunc(calls, func(a, b modelCall) int { return a.start.Compare(b.start) })
		stored := e.stored[runs[event]]
		for i := range calls[1:] {
			first, again := calls[i], calls[i+1]
			why := excuse(e.done, first, again)
			switch {
			case e.done.struck(windowFreeze, again.process, calls[0].start, again.start):
				why = "a worker went on where it had been frozen"
			case !stored.IsZero() && stored.Before(again.start) && !first.overlaps(again):
				why = ""
			}
			f.repaid[why]++
			if why == "" {
				f.breaks("the model was asked again about %s: first by %s (%s, answered %s), then by %s (%s); stored %s", event, first.process,
					first.fault, clock(first.end), again.process, clock(again.start), clock(stored))
			}
		}
	}
}

func clock(t time.Time) string { return t.Local().Format("15:04:05.000") }

// overlaps: two owners of one run asked at the same time, which only a frozen or cut-off process explains.
func (c modelCall) overlaps(later modelCall) bool { return later.start.Before(c.end) }

// excuse names the window that a call fell into, or nothing.
func excuse(done *timeline, first, again modelCall) string {
	until := first.end.Add(modelGrace)
	switch {
	case first.fault != openai.Good:
		return "the model misbehaved"
	case first.aborted && done.struck(windowKill, first.process, first.start, until):
		return "the worker died while it asked"
	case done.struck(windowKill, first.process, first.start, until):
		return "the worker died with the answer (k4)"
	case done.struck(windowFreeze, first.process, first.start, until):
		return "the worker was frozen"
	case done.struck(windowModel, "", first.start, until):
		return "the link to the model was cut"
	case done.struck(windowPostgres, "", first.start, until):
		return "Postgres was away when the answer came"
	case first.overlaps(again) && done.struck(windowPostgres, "", first.start.Add(-time.Minute), first.end):
		return "Postgres was away and the worker looked dead"
	}
	return ""
}

// checkRecovery measures from each death to the next claim of each run that was under way.
func (f *findings) checkRecovery(e evidence) {
	for _, job := range e.done.jobs {
		i, found := slices.BinarySearchFunc(e.claims[job.id], job.at, time.Time.Compare)
		if !found && i == len(e.claims[job.id]) {
			f.unrecovered++
			continue
		}
		f.recovery = append(f.recovery, e.claims[job.id][i].Sub(job.at))
	}
	slices.Sort(f.recovery)
	slices.Sort(f.latency)
}

// percentile of sorted values.
func percentile(sorted []time.Duration, p float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(p*float64(len(sorted))))]
}

// explained lists the excused model calls for the report.
func (f findings) explained() string {
	var parts []string
	for _, why := range slices.SortedFunc(maps.Keys(f.repaid), cmp.Compare[string]) {
		if why != "" {
			parts = append(parts, fmt.Sprintf("%d %s", f.repaid[why], why))
		}
	}
	return strings.Join(parts, ", ")
}
