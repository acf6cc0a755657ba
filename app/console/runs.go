package console

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"aiagents/app/operator"
	"aiagents/internal/fault"
)

// outcomeNames say how a run ended.
var outcomeNames = []option{
	{Value: "note", Name: "note written"},
	{Value: "facts_only", Name: "facts-only note"},
	{Value: "skipped", Name: "skipped"},
	{Value: "recorded", Name: "resolution kept"},
	{Value: "failed", Name: "failed"},
}

var statusNames = []option{{Value: "pending", Name: "not finished"}, {Value: "completed", Name: "finished"}, {Value: "failed", Name: "failed"}}

func choose(options []option, value string) []option {
	chosen := make([]option, len(options))
	for i, o := range options {
		o.Selected = o.Value == value
		chosen[i] = o
	}
	return chosen
}

func runBadge(status, outcome string, attempts int, waits bool) badge {
	switch {
	case status == "pending" && waits:
		return badge{"warn", "waits"}
	case status == "pending" && attempts == 0:
		return badge{"busy", "queued"}
	case status == "pending":
		return badge{"busy", "running"}
	case status == "failed":
		return badge{"bad", "failed"}
	}
	tones := map[string]string{"note": "ok", "facts_only": "info"}
	for _, o := range outcomeNames {
		if o.Value == outcome {
			return badge{tones[outcome], o.Name}
		}
	}
	return badge{"", status}
}

// runRows names the tenants where names are given; the page of one tenant needs none.
func runRows(items []operator.Enhancement, names map[string]string) (rows []runRow) {
	for _, e := range items {
		row := runRow{
			Href: runHref(e.TenantID, e.ID), Ticket: "#" + e.TicketID, Subject: e.Subject, At: e.CreatedAt, Took: "–",
			Badge: runBadge(e.Status, e.Outcome, e.Attempts, e.ErrorMessage != nil), Tenant: names[e.TenantID], TenantHref: tenantHref(e.TenantID),
		}
		if row.Tenant == "" && names != nil {
			row.Tenant = e.TenantID
		}
		if e.ProcessingTimeMs != nil {
			row.Took = span(time.Duration(*e.ProcessingTimeMs) * time.Millisecond)
		}
		if e.Outcome != "note" && e.Outcome != "recorded" {
			_, why, found := strings.Cut(e.Explanation.Text, ": ")
			row.Why = sentence(yesNo(found, why, e.Explanation.Text))
		}
		rows = append(rows, row)
	}
	return rows
}

// minute is how a browser's field for a time writes one.
const minute = "2006-01-02T15:04"

func (c *Console) runs(ctx echo.Context) error {
	q := ctx.QueryParams()
	v := runsView{
		Ticket:   strings.TrimPrefix(strings.TrimSpace(q.Get("ticket")), "#"),
		Statuses: choose(statusNames, q.Get("status")), Outcomes: choose(outcomeNames, q.Get("outcome")),
	}
	f := operator.EnhancementFilter{
		TenantID: q.Get("tenant"), Status: q.Get("status"), Outcome: q.Get("outcome"), TicketID: v.Ticket, Cursor: q.Get("cursor"),
	}
	var faults []string
	f.Since, v.Since, faults = moment("From", q.Get("since"), faults)
	f.Until, v.Until, faults = moment("Until", q.Get("until"), faults)
	r := ctx.Request().Context()
	listings, err := c.deps.Operator.Tenants(r)
	if err != nil {
		return err
	}
	names := map[string]string{}
	for _, t := range listings {
		names[t.ID] = t.Name
		v.Tenants = append(v.Tenants, option{Value: t.ID, Name: t.Name, Selected: t.ID == f.TenantID})
	}
	if len(faults) == 0 {
		page, err := c.deps.Operator.Enhancements(r, f)
		if bad, _ := explain(err); err != nil && (bad.Kind == fault.Invalid || bad.Kind == fault.NotFound) {
			faults = append(faults, sentence(bad.Message))
		} else if err != nil {
			return err
		}
		v.Rows = runRows(page.Items, names)
		v.Older = pageHref(q, page.NextCursor)
	}
	if f.Cursor != "" {
		q.Del("cursor")
		v.Newest = base + "/runs?" + q.Encode()
	}
	v.Fault = strings.Join(faults, " ")
	status := 0
	if v.Fault != "" {
		status = 400
	}
	return c.render(ctx, view{page: "runs", title: "Runs", section: "Runs", live: true, status: status, body: v})
}

func pageHref(q url.Values, cursor string) string {
	if cursor == "" {
		return ""
	}
	next := url.Values{}
	for name, values := range q {
		next[name] = values
	}
	next.Set("cursor", cursor)
	return base + "/runs?" + next.Encode()
}

// moment reads a time, and returns it as the field shows it again.
func moment(name, text string, faults []string) (time.Time, string, []string) {
	if text == "" {
		return time.Time{}, "", faults
	}
	for _, layout := range []string{minute, minute + ":05", time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, t.UTC().Format(minute), faults
		}
	}
	return time.Time{}, "", append(faults, fmt.Sprintf("%s must be a time such as 2026-11-23T06:00.", name))
}
