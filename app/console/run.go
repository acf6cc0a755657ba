package console

import (
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
	"github.com/microcosm-cc/bluemonday"

	"aiagents/app/operator"
	"aiagents/internal/fault"
	"aiagents/modules/enhancement/evidence"
)

// noteMarkup is what our renderer writes, and all that is let through to a page. No element may have an attribute.
var noteMarkup = bluemonday.NewPolicy().AllowElements("p", "br", "ul", "ol", "li", "strong", "code", "pre")

func runID(ctx echo.Context) (uuid.UUID, error) {
	id, err := uuid.Parse(ctx.Param("run"))
	if err != nil {
		return id, fault.New(fault.NotFound, "there is no such run")
	}
	return id, nil
}

func (c *Console) run(ctx echo.Context) error {
	id, err := runID(ctx)
	if err != nil {
		return err
	}
	r := ctx.Request().Context()
	d, err := c.deps.Operator.Enhancement(r, ctx.Param("tenant"), id)
	if err != nil {
		return err
	}
	v := newRunView(d)
	if t, err := c.deps.Operator.Tenant(r, d.TenantID); err == nil {
		v.Tenant = t.Name
	}
	return c.render(ctx, view{page: "run", title: v.Title, section: "Runs", live: d.Status == "pending", body: v})
}

func (c *Console) retry(ctx echo.Context) error {
	id, err := runID(ctx)
	if err != nil {
		return err
	}
	if err := c.deps.Operator.Retry(ctx.Request().Context(), actor(ctx), ctx.Param("tenant"), id); err != nil {
		return err
	}
	return ctx.Redirect(http.StatusSeeOther, runHref(ctx.Param("tenant"), id)+"?done=retried")
}

func newRunView(d operator.EnhancementDetail) runView {
	v := runView{
		Title: d.Subject, Ticket: d.TicketID, Event: d.Event, Tenant: d.TenantID, TenantHref: tenantHref(d.TenantID), Received: d.CreatedAt,
		Badge: runBadge(d.Status, d.Outcome, d.Attempts, d.ErrorMessage != nil), Story: story(d), Timeline: steps(d), Reference: d.Reference,
		Cost: costFacts(d), Description: d.Description, Guards: guards(d),
		Facts: []fact{{"Run", d.ID.String()}, {"Reference", d.Reference}, {"Correlation", d.CorrelationID}},
	}
	if v.Title == "" {
		v.Title = "Ticket " + d.TicketID
	}
	v.Total = plural(d.Attempts, "attempt", "attempts")
	if d.ProcessingTimeMs != nil {
		v.Total = span(time.Duration(*d.ProcessingTimeMs)*time.Millisecond) + " in total, " + v.Total
	}
	if d.CanRetry {
		v.Retry = &ask{
			Label: "Run again…", Action: runHref(d.TenantID, d.ID) + "/retry", Confirm: "Run it again",
			Text: "Searches and writes anew, as if the webhook had just come; that may cost calls of the model. A note that stands on the ticket is replaced, not doubled.",
		}
	}
	if d.NoteHTML != nil {
		v.Note = template.HTML(noteMarkup.Sanitize(*d.NoteHTML)) //nolint:gosec // the allow-list above lets no attribute through
	}
	v.NoteText = noteText(d)
	if d.NoteID != "" {
		v.Facts = append(v.Facts, fact{"Note on the desk", d.NoteID})
	}
	for _, call := range d.Calls {
		v.Calls = append(v.Calls, callRow{
			Model: call.Model, Result: strings.ReplaceAll(call.Outcome, "_", " "), Took: span(time.Duration(call.DurationMs) * time.Millisecond),
			Tokens: count(call.PromptTokens) + " + " + count(call.CompletionTokens),
		})
	}
	if d.Context != nil {
		v.Evidence = evidenceTables(*d.Context)
	}
	return v
}

func story(d operator.EnhancementDetail) message {
	m := message{Tone: "info", Text: d.Explanation.Text, Step: d.Explanation.Next}
	switch {
	case d.Status == "failed":
		m.Tone = "bad"
	case d.Status == "pending" && d.ErrorMessage != nil:
		m.Tone = "warn"
	case d.Outcome == "note":
		m.Tone = "ok"
		if d.ProcessingTimeMs != nil {
			m.Text = fmt.Sprintf("The note was written on ticket %s, %s after the webhook.", d.TicketID, span(time.Duration(*d.ProcessingTimeMs)*time.Millisecond))
		}
	}
	return m
}

func noteText(d operator.EnhancementDetail) string {
	switch {
	case d.NoteID != "":
		return "Private: technicians see it, the requester does not. This is the text as it was posted."
	case d.NoteHTML != nil:
		return "Written, and not on the ticket yet."
	case d.Status == "pending":
		return "it is not written yet"
	case d.Outcome == "skipped" || d.Outcome == "recorded":
		return "none was asked for"
	}
	return ""
}

var sourceBadges = map[evidence.Outcome]badge{
	evidence.Found: {"ok", "found"}, evidence.Nothing: {"", "nothing found"}, evidence.Failed: {"bad", "failed"}, evidence.TimedOut: {"warn", "timed out"},
	evidence.NotConfigured: {"", "not set up"}, evidence.Skipped: {"", "skipped"},
}

// steps places every step of the timeline on a board 1000 wide, as far as it is known when it was.
func steps(d operator.EnhancementDetail) []step {
	end := int64(1)
	for _, s := range d.Timeline {
		if s.OffsetMs != nil {
			last := *s.OffsetMs
			if s.DurationMs != nil {
				last += *s.DurationMs
			}
			end = max(end, last)
		}
	}
	var all []step
	for _, s := range d.Timeline {
		row := step{Name: s.Title, Nested: s.Depth > 0, Took: "", Text: s.Detail}
		if s.At != nil {
			row.Text = strings.TrimSpace(s.At.UTC().Format("15:04:05.000") + " " + s.Detail)
		}
		if s.DurationMs != nil {
			row.Took = span(time.Duration(*s.DurationMs) * time.Millisecond)
			if *s.DurationMs == 0 {
				row.Took = "< 1 ms"
			}
			if s.OffsetMs != nil {
				row.X = cut(float64(*s.OffsetMs) / float64(end) * 1000)
				row.W = cut(max(float64(*s.DurationMs)/float64(end)*1000, 3))
			}
		}
		if b, ok := sourceBadges[evidence.Outcome(s.Outcome)]; ok && s.Depth > 0 && s.Name != "call" {
			if b.Tone == "ok" && s.Detail != "" {
				b.Text, row.Text = s.Detail, ""
			}
			row.Badge = &b
			row.Class = map[string]string{"bad": "bad", "warn": "bad", "": "off"}[b.Tone]
		} else if s.Name == "finished" {
			b := runBadge(d.Status, d.Outcome, d.Attempts, false)
			row.Badge = &b
		} else if s.Name == "post" && s.Detail != "" {
			row.Text = "note " + s.Detail
		} else if s.Name == "model" {
			row.Text = map[string]string{"full": "by the model, held to the evidence", "facts_only": "by rules, without a model"}[s.Outcome]
		} else if s.Name == "call" && s.Outcome != "ok" {
			row.Text, row.Class = strings.ReplaceAll(s.Outcome, "_", " ")+": "+s.Detail, "bad"
		}
		all = append(all, row)
	}
	return all
}

func costFacts(d operator.EnhancementDetail) []fact {
	if len(d.Calls) == 0 {
		return []fact{{"Model", "none was asked"}, {"Cost", money(0)}}
	}
	in, out, cached := 0, 0, 0
	var models []string
	for _, c := range d.Calls {
		in, out, cached = in+c.PromptTokens, out+c.CompletionTokens, cached+c.CachedTokens
		if !slices.Contains(models, c.Model) {
			models = append(models, c.Model)
		}
	}
	facts := []fact{
		{"Model", strings.Join(models, ", ")}, {"Calls", count(len(d.Calls))}, {"Tokens in", count(in)}, {"Tokens out", count(out)}, {"Cost", money(d.CostUSD)},
	}
	if cached > 0 {
		facts = append(facts, fact{"Of them from a cache", count(cached)})
	}
	if d.Answer != nil && d.Answer.Confidence.Level != "" {
		facts = append(facts, fact{"Confidence", d.Answer.Confidence.Level})
	}
	return facts
}

// guards says what the guards around the model did in this run.
func guards(d operator.EnhancementDetail) (list []string) {
	f := d.Findings
	if f == nil {
		return nil
	}
	if n := f.Hidden.Total(); n > 0 {
		list = append(list, plural(n, "hidden piece of text was", "hidden pieces of text were")+" taken out before the model saw the evidence: invisible characters, markup or encoded text.")
	}
	masked := 0
	for _, n := range f.Masked {
		masked += n
	}
	if masked > 0 {
		list = append(list, plural(masked, "name, address or secret was", "names, addresses and secrets were")+" replaced by placeholders before the model saw the evidence.")
	}
	for _, drop := range f.Drops {
		text := fmt.Sprintf("A statement of the model in %q was dropped: its %s is not covered by the evidence", strings.ReplaceAll(drop.Part, "_", " "), drop.Cause)
		if drop.Token != "" {
			text += " (" + drop.Token + ")"
		}
		list = append(list, text+".")
	}
	if len(f.RetiredModels) > 0 {
		list = append(list, "Unknown to the provider or retired: "+strings.Join(f.RetiredModels, ", ")+".")
	}
	return list
}

// excerptLength bounds a cell of the evidence, in characters.
const excerptLength = 400

func excerpt(text string) string {
	if utf8.RuneCountInString(text) <= excerptLength {
		return text
	}
	return string([]rune(text)[:excerptLength]) + "…"
}

func evidenceTables(b evidence.Bundle) (tables []evidenceTable) {
	add := func(t evidenceTable) {
		if len(t.Rows) > 0 {
			tables = append(tables, t)
		}
	}
	score := func(s float64) string { return fmt.Sprintf("%.0f\u00a0%%", s*100) }
	similar := evidenceTable{Name: "Similar solved tickets", Columns: []string{"Id", "Subject", "How it was solved", "Solved", "Same cause"}}
	for _, s := range b.Similar {
		similar.Rows = append(similar.Rows, []string{s.ID, s.Subject, excerpt(s.Resolution), s.ResolvedAt.UTC().Format(time.DateOnly), score(s.Score)})
	}
	articles := evidenceTable{Name: "Documentation", Columns: []string{"Id", "Title", "Excerpt", "Fits"}}
	for _, a := range b.Articles {
		title := a.Title
		if a.Section != "" {
			title += " › " + a.Section
		}
		articles.Rows = append(articles.Rows, []string{a.ID, title, excerpt(a.Excerpt), score(a.Score)})
	}
	systems := evidenceTable{Name: "Systems", Columns: []string{"Id", "Address", "Role", "Location", "Named in the ticket as"}}
	for _, s := range b.Systems {
		role := s.Role
		if s.Retired {
			role += " (retired)"
		}
		systems.Rows = append(systems.Rows, []string{s.ID, s.IP, role, s.Location, s.MatchedBy})
	}
	observed := evidenceTable{Name: "Monitoring", Columns: []string{"Id", "Host", "What", "Severity", "Since"}}
	for _, m := range b.Monitoring {
		observed.Rows = append(observed.Rows, []string{m.ID, m.Host, excerpt(m.Summary), m.Severity, stamp(m.Since)})
	}
	add(similar)
	add(articles)
	add(systems)
	add(observed)
	if b.Storm != nil {
		add(evidenceTable{Name: "Open tickets that look alike", Columns: []string{"Ticket", "Remark"}, Rows: [][]string{{
			strings.Join(b.Storm.Tickets, ", "), fmt.Sprintf("%d within %s", b.Storm.Count, span(b.Storm.Window)),
		}}})
	}
	return tables
}
