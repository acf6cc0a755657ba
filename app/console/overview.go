package console

import (
	"fmt"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"aiagents/app/housekeeping"
	"aiagents/app/operator"
)

// The objectives that the tiles are measured by.
const (
	successObjective = 0.99
	timeObjective    = 60 * time.Second
)

var windowNames = map[operator.Window]string{operator.Hour: "hour", operator.Day: "24 hours", operator.Week: "7 days"}

func (c *Console) overview(ctx echo.Context) error {
	w := operator.Window(ctx.QueryParam("window"))
	if w == "" {
		w = operator.Day
	}
	r := ctx.Request().Context()
	o, err := c.deps.Operator.Overview(r, w)
	if err != nil {
		return err
	}
	v := overviewView{
		Verdict: c.verdict(o), Tiles: tiles(o), Trouble: troubles(o), Rates: ratesChart(intervals(o)), Times: timesChart(intervals(o), timeObjective),
		Queue: queueRows(o.Queue), Storms: stormRows(o),
	}
	for _, choice := range operator.Windows() {
		v.Windows = append(v.Windows, option{Value: base + "/?window=" + string(choice), Name: "Last " + windowNames[choice], Selected: choice == w})
	}
	// What cannot be read is among the overview's problems already.
	if workers, err := c.deps.Operator.Workers(r); err == nil {
		v.Workers = workerRows(workers)
	}
	if runs, err := c.deps.Operator.Housekeeping(r); err == nil {
		v.Housekeeping = choreRows(runs)
	}
	return c.render(ctx, view{page: "overview", title: "Overview", section: "Overview", live: true, body: v})
}

// verdict is the one sentence that an operator came for.
func (c *Console) verdict(o operator.Overview) message {
	var last time.Time
	trouble := 0
	for _, t := range o.Tenants {
		if inTrouble(t.State) {
			trouble++
		}
		if t.LastNoteAt != nil && t.LastNoteAt.After(last) {
			last = *t.LastNoteAt
		}
	}
	lastNote := "No note was written in the last " + windowNames[o.Window] + "."
	if !last.IsZero() {
		lastNote = "The last note was written " + ago(c.deps.Clock(), last) + "."
	}
	switch {
	case len(o.Problems) > 0:
		return message{"bad", o.Problems[0].What, o.Problems[0].Next}
	case len(o.Tenants) == 0:
		return message{"info", "It runs, and has no tenant yet.", "Add the first one under Tenants."}
	case trouble > 0:
		return message{"warn", "It works, but " + plural(trouble, "tenant needs", "tenants need") + " attention.", lastNote}
	}
	return message{"ok", "All is well.", lastNote}
}

func inTrouble(s operator.State) bool {
	return s == operator.Failing || s == operator.Unknown || s == operator.Paused
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return count(n) + " " + many
}

func tiles(o operator.Overview) []tile {
	all := []tile{{Name: "Tickets in the last " + windowNames[o.Window], Figure: count(o.Counts.Received), Text: "all finished"}}
	if n := o.Counts.Pending; n > 0 {
		all[0].Text = count(n) + " not finished"
	}
	success := tile{Name: "Success in the last " + windowNames[o.Window], Figure: "–", Text: "no run has finished"}
	if o.Rates.Success != nil {
		good := o.Counts.Note + o.Counts.FactsOnly
		success.Figure = percent(int64(good), int64(good+o.Counts.Failed))
		success.Text, success.Badge = "objective 99 %", &badge{"bad", "missed"}
		if *o.Rates.Success >= successObjective {
			success.Badge = &badge{"ok", "met"}
		}
	}
	times := tile{Name: "From webhook to note, p95", Figure: "–", Text: "no note in this time"}
	if o.Rates.P95Ms != nil && o.Rates.P50Ms != nil {
		p95 := time.Duration(*o.Rates.P95Ms) * time.Millisecond
		times.Figure, times.Unit, _ = strings.Cut(span(p95), " ")
		times.Text, times.Badge = "half within "+span(time.Duration(*o.Rates.P50Ms)*time.Millisecond), &badge{"bad", "over 60 s"}
		if p95 < timeObjective {
			times.Badge = &badge{"ok", "under 60 s"}
		}
	}
	alive := tile{Name: "Workers alive", Figure: strconv.Itoa(o.WorkersAlive), Text: "the queue is empty"}
	if o.WorkersAlive == 0 {
		alive.Badge = &badge{"bad", "none"}
	}
	for _, q := range o.Queue {
		if q.State == "available" && q.Depth > 0 {
			alive.Text = fmt.Sprintf("%s waiting, the oldest for %s", plural(int(q.Depth), "job", "jobs"), age(seconds(q.OldestAgeSeconds)))
		}
	}
	return append(all, success, times, alive)
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

func tenantHref(id string) string { return base + "/tenants/" + url.PathEscape(id) }

func runHref(tenantID string, id fmt.Stringer) string {
	return base + "/runs/" + url.PathEscape(tenantID) + "/" + id.String()
}

// troubles are what needs a person: the whole first, then tenants.
func troubles(o operator.Overview) (list []trouble) {
	for _, p := range o.Problems {
		list = append(list, trouble{Name: "The whole", Badge: badge{"bad", "problem"}, Reason: p.What, Step: p.Next})
	}
	for _, t := range o.Tenants {
		if inTrouble(t.State) {
			list = append(list, trouble{Name: t.Name, Href: tenantHref(t.ID), Badge: stateBadge(t.State), Reason: t.Reason, Step: t.Next})
		}
	}
	return list
}

func stateBadge(s operator.State) badge {
	switch s {
	case operator.OK:
		return badge{"ok", "works"}
	case operator.Paused:
		return badge{"bad", "connection paused"}
	case operator.Failing:
		return badge{"bad", "failing"}
	case operator.Disabled:
		return badge{"", "disabled"}
	case operator.Unknown:
	}
	return badge{"warn", "unknown"}
}

func intervals(o operator.Overview) []interval {
	series := make([]interval, len(o.Series))
	for i, p := range o.Series {
		end := o.Until
		if i+1 < len(o.Series) {
			end = o.Series[i+1].Start
		}
		series[i] = interval{
			Start: p.Start, End: end, Notes: p.Note, Facts: p.FactsOnly, Others: p.Skipped, Failed: p.Failed,
		}
		if p.P50Ms != nil && p.P95Ms != nil {
			// A note within the same millisecond is still a note.
			series[i].P50 = max(time.Duration(*p.P50Ms)*time.Millisecond, time.Millisecond)
			series[i].P95 = max(time.Duration(*p.P95Ms)*time.Millisecond, time.Millisecond)
		}
	}
	return series
}

var queueMeanings = map[string]string{
	"available": "a worker could run them now", "running": "being worked on", "retryable": "failed, to be tried again", "scheduled": "wait for their time",
}

func queueRows(states []operator.QueueState) (rows []queueRow) {
	for _, q := range states {
		row := queueRow{Name: strings.ToUpper(q.State[:1]) + q.State[1:], Meaning: queueMeanings[q.State], Depth: count(q.Depth), Oldest: "–"}
		if q.Depth > 0 && q.State != "scheduled" {
			row.Oldest = age(seconds(math.Max(q.OldestAgeSeconds, 0)))
		}
		rows = append(rows, row)
	}
	return rows
}

func workerRows(workers []operator.Worker) (rows []workerRow) {
	for _, w := range workers {
		state := badge{"ok", "alive"}
		if !w.Alive {
			state = badge{"warn", "silent"}
		}
		rows = append(rows, workerRow{ID: w.ID, Badge: state, Running: w.Running, Seen: w.SeenAt})
	}
	return rows
}

// stormShown is how many tickets of a storm are linked.
const stormShown = 5

func stormRows(o operator.Overview) (rows []stormRow) {
	names := map[string]string{}
	for _, t := range o.Tenants {
		names[t.ID] = t.Name
	}
	for _, s := range o.Storms {
		row := stormRow{Tenant: names[s.TenantID], TenantHref: tenantHref(s.TenantID), Subject: s.Subject, Since: s.First, Count: s.Count}
		for _, t := range s.Tickets[:min(len(s.Tickets), stormShown)] {
			row.Tickets = append(row.Tickets, link{Name: t.TicketID, Href: runHref(s.TenantID, t.EnhancementID)})
		}
		row.More = s.Count - len(row.Tickets)
		rows = append(rows, row)
	}
	return rows
}

func choreRows(tasks []housekeeping.Status) (rows []choreRow) {
	for _, t := range tasks {
		row := choreRow{Name: sentence(t.Does), Badge: choreBadge(t)}
		if t.LastFinishedAt != nil {
			row.At = *t.LastFinishedAt
		}
		switch {
		case t.LastError != "":
			row.Text = t.LastError
		case t.LastRows > 0:
			row.Text = plural(int(t.LastRows), "row", "rows")
		}
		rows = append(rows, row)
	}
	return rows
}

func choreBadge(t housekeeping.Status) badge {
	switch {
	case t.EverySeconds == 0:
		return badge{"", "off"}
	case t.Running != nil:
		return badge{"busy", "running"}
	case t.LastResult == housekeeping.ResultFailed:
		return badge{"bad", "failed"}
	case t.Overdue:
		return badge{"warn", "overdue"}
	case t.LastResult == "":
		return badge{"", "not yet"}
	case t.LastResult == housekeeping.ResultStopped:
		return badge{"", "stopped"}
	}
	return badge{"ok", "done"}
}
