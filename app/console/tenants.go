package console

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"aiagents/app/adminauth"
	"aiagents/app/operator"
	"aiagents/internal/fault"
	"aiagents/internal/secret"
	"aiagents/modules/tenant"
)

func (c *Console) tenants(ctx echo.Context) error {
	o, err := c.deps.Operator.Overview(ctx.Request().Context(), operator.Day)
	if err != nil {
		return err
	}
	var v tenantsView
	for _, t := range o.Tenants {
		row := tenantRow{
			ID: t.ID, Name: t.Name, Href: tenantHref(t.ID), State: stateBadge(t.State), Reason: t.Reason, Next: t.Next, Edition: editionNames[t.Edition],
			Runs: count(t.Counts.Received), Failed: count(t.Counts.Failed), P95: millis(t.P95Ms), LastNote: t.LastNoteAt,
		}
		v.Rows = append(v.Rows, row)
	}
	return c.render(ctx, view{page: "tenants", title: "Tenants", section: "Tenants", live: true, body: v})
}

var editionNames = map[string]string{
	tenant.OnPrem: "ServiceDesk Plus, on-premises", tenant.Cloud: "ServiceDesk Plus Cloud", tenant.MSPOnPrem: "ServiceDesk Plus MSP, on-premises",
	tenant.MSPCloud: "ServiceDesk Plus MSP Cloud", tenant.Generic: "another system, through a bridge",
}

func millis(ms *int64) string {
	if ms == nil {
		return "–"
	}
	return span(time.Duration(*ms) * time.Millisecond)
}

func (c *Console) tenant(ctx echo.Context) error { return c.showTenant(ctx, http.StatusOK, nil, "") }

// showTenant writes a tenant's page, with what an action on it has just found.
func (c *Console) showTenant(ctx echo.Context, status int, found *tested, keyFault string) error {
	r, id := ctx.Request().Context(), ctx.Param("tenant")
	t, err := c.deps.Operator.Tenant(r, id)
	if err != nil {
		return err
	}
	state, err := c.deps.Operator.TenantStatus(r, id, operator.Day)
	if err != nil {
		return err
	}
	page, err := c.deps.Operator.Enhancements(r, operator.EnhancementFilter{TenantID: id, Limit: 10})
	if err != nil {
		return err
	}
	v := tenantView{
		ID: t.ID, Name: t.Name, Href: tenantHref(t.ID), Edition: editionNames[t.Edition], State: badge{"ok", "enabled"}, Version: t.Version,
		Tested: found, KeyForm: keyHint(t.Edition), KeyFault: keyFault, Actions: tenantActions(t), Connection: stateBadge(state.State),
		ConnectionText: state.Reason, ConnectionStep: state.Next, Settings: settings(t), Runs: runRows(page.Items, nil),
		RunsHref: base + "/runs?tenant=" + t.ID, Lately: c.lately(r, state), Knows: c.holdings(r, id), Audit: c.changes(r, id),
	}
	if t.DisabledAt != nil {
		v.State = badge{"", "disabled"}
	}
	if v.ConnectionText == "" {
		v.ConnectionText = "It works: nothing is paused, and no run of the last 24 hours points to a fault."
	}
	v.ConnectionFacts = []fact{{"Address", t.ServiceDeskURL}, {"Key", yesNo(t.APIKeySet, "set", "not set")}, {"Waiting for a note", plural(state.Backlog, "run", "runs")}}
	return c.render(ctx, view{page: "tenant", title: t.Name, section: "Tenants", live: found == nil, status: status, body: v})
}

func yesNo(is bool, yes, no string) string {
	if is {
		return yes
	}
	return no
}

func tenantActions(t operator.Tenant) []ask {
	href := tenantHref(t.ID)
	all := []ask{{
		Label: "Rotate secret…", Action: href + "/rotate-secret", Confirm: "Make a new secret",
		Text: "Makes a new webhook secret and shows it once. The old one stays valid for 24 hours: put the new one into the service desk before that.",
	}}
	if t.DisabledAt != nil {
		return append(all, ask{Label: "Enable…", Action: href + "/enable", Confirm: "Take webhooks again", Text: "The tenant's webhooks are taken again. Tickets that came meanwhile are found when they are next listed."})
	}
	return append(all, ask{
		Label: "Pause…", Action: href + "/disable", Confirm: "Refuse webhooks from now on", Grave: true,
		Text: "Disables the tenant: its webhooks are refused with 401 until you enable it again. What was accepted is finished, and nothing is deleted.",
	})
}

func (c *Console) lately(ctx context.Context, s operator.TenantStatus) []fact {
	n := s.Counts
	facts := []fact{
		{"Tickets", count(n.Received)},
		{"Notes by a model", count(n.Note)},
		{"Facts-only notes", count(n.FactsOnly)},
		{"Skipped", count(n.Skipped)},
		{"Failed", count(n.Failed)},
		{"Half of the notes within", millis(s.P50Ms)},
		{"95 % within", millis(s.P95Ms)},
	}
	costs, err := c.deps.Operator.Costs(ctx, s.ID, time.Time{}, time.Time{})
	if err != nil {
		return append(facts, fact{"Cost, 30 days", unread})
	}
	return append(facts, fact{"Cost, 30 days", money(costs.CostUSD)}, fact{"Tokens, 30 days", count(costs.Tokens)})
}

// unread stands where a part could not be read; the rest of the page is shown.
const unread = "cannot be read right now"

func (c *Console) holdings(ctx context.Context, id string) (facts []fact) {
	list, err := c.deps.Holdings.Holdings(ctx, id)
	if err != nil {
		c.deps.Logger.WarnContext(ctx, "what can be searched could not be read", "tenant_id", id, "error", err)
		return []fact{{"Contents", unread}}
	}
	for _, h := range list {
		facts = append(facts, fact(h))
	}
	return facts
}

func (c *Console) changes(ctx context.Context, id string) (rows []auditRow) {
	page, err := c.deps.Operator.Audit(ctx, operator.AuditFilter{TenantID: id, Limit: 8})
	if err != nil {
		c.deps.Logger.WarnContext(ctx, "audit log could not be read", "tenant_id", id, "error", err)
		return nil
	}
	for _, e := range page.Items {
		rows = append(rows, auditRow{At: e.At, Actor: e.Actor, Action: e.Action})
	}
	return rows
}

func settings(t operator.Tenant) []fact {
	p := t.Preferences
	or := func(text, otherwise string) string { return yesNo(text != "", text, otherwise) }
	facts := []fact{
		{"Webhook path", t.WebhookPath}, {"Accepted credentials", strings.Join(t.WebhookAuth, ", ")}, {"Webhooks may come from", or(strings.Join(t.AllowedCIDRs, ", "), "any address")},
	}
	if t.PreviousSecretExpiresAt != nil {
		facts = append(facts, fact{"Previous secret valid until", stamp(*t.PreviousSecretExpiresAt)})
	}
	if len(t.AccountIDs) > 0 {
		facts = append(facts, fact{"Accounts", strings.Join(t.AccountIDs, ", ")})
	}
	if t.Portal != "" {
		facts = append(facts, fact{"Portal", t.Portal})
	}
	budget := "no bound"
	if p.DailyTokenBudget > 0 {
		budget = count(p.DailyTokenBudget) + " tokens a day"
	}
	keep := "for ever"
	if p.TicketHistoryDays > 0 {
		keep = plural(p.TicketHistoryDays, "day", "days")
	}
	return append(facts, fact{"Language of notes", p.NoteLanguage}, fact{"Longest note", strconv.Itoa(p.MaxWords) + " words"}, fact{"Model", or(p.Model, "the operator's")},
		fact{"Budget", budget}, fact{"Past tickets are kept", keep}, fact{"If a note may or may not stand", yesNo(t.OnAmbiguous == tenant.Verify, "look for it, then write again", "never write again")})
}

// actor names who acts, for the audit log.
func actor(ctx echo.Context) string {
	who, _ := adminauth.From(ctx.Request().Context()) // the guard let nobody else through
	return who.Actor()
}

// tenantAction is every change of a tenant.
func (c *Console) tenantAction(ctx echo.Context) error {
	r, id := ctx.Request().Context(), ctx.Param("tenant")
	var err error
	var done string
	switch ctx.Param("action") {
	case "test":
		found, err := c.test(r, id)
		if err != nil {
			return err
		}
		return c.showTenant(ctx, http.StatusOK, found, "")
	case "key":
		return c.replaceKey(ctx)
	case "rotate-secret":
		return c.rotate(ctx)
	case "disable":
		done = "disabled"
		_, err = c.deps.Operator.DisableTenant(r, actor(ctx), id)
	case "enable":
		done = "enabled"
		_, err = c.deps.Operator.EnableTenant(r, actor(ctx), id)
	default:
		return fault.New(fault.NotFound, "there is no such action")
	}
	if err != nil {
		return err
	}
	return ctx.Redirect(http.StatusSeeOther, tenantHref(id)+"?done="+done)
}

// test examines a connection and words the report.
func (c *Console) test(ctx context.Context, id string) (*tested, error) {
	report, err := c.deps.Operator.TestConnection(ctx, id)
	if err != nil {
		return nil, err
	}
	t := &tested{Tone: "ok", Text: "The connection works."}
	if !report.OK {
		t.Tone, t.Text = "bad", "The connection does not work yet."
	}
	tones := map[string]badge{"ok": {"ok", "good"}, "warn": {"warn", "look at this"}, "fail": {"bad", "fails"}}
	for _, check := range report.Checks {
		if check.Status == "warn" && t.Tone == "ok" {
			t.Tone, t.Text = "warn", "The connection works, with a remark."
		}
		t.Checks = append(t.Checks, checkRow{Badge: tones[check.Status], Name: check.Check, Detail: check.Detail, Next: check.Next})
	}
	return t, nil
}

func (c *Console) replaceKey(ctx echo.Context) error {
	r, id := ctx.Request().Context(), ctx.Param("tenant")
	key := secret.New(strings.TrimSpace(ctx.FormValue("key")))
	if !key.IsSet() {
		return c.showTenant(ctx, http.StatusBadRequest, nil, "must not be empty")
	}
	version, err := strconv.ParseInt(ctx.FormValue("version"), 10, 64)
	if err != nil {
		return fault.New(fault.Invalid, "the form is incomplete; open the tenant's page again")
	}
	_, err = c.deps.Operator.UpdateTenant(r, actor(ctx), id, tenant.UpdateInput{Version: version, APIKey: &key})
	if f, status := explain(err); err != nil && f.Kind == fault.Invalid && f.Details["servicedesk_api_key"] != "" {
		return c.showTenant(ctx, status, nil, f.Details["servicedesk_api_key"])
	}
	if err != nil {
		return err
	}
	found, err := c.test(r, id)
	if err != nil {
		return err
	}
	return c.showTenant(ctx, http.StatusOK, found, "")
}

func (c *Console) rotate(ctx echo.Context) error {
	fresh, err := c.deps.Operator.RotateWebhookSecret(ctx.Request().Context(), actor(ctx), ctx.Param("tenant"), tenant.RotateInput{Grace: tenant.DefaultGrace})
	if err != nil {
		return err
	}
	v := newSecretView(fresh, fresh.Tenant.Name+" has a new webhook secret")
	v.Grace = "The old secret stays valid for 24 hours."
	return c.render(ctx, view{page: "secret", title: "New webhook secret", section: "Tenants", body: v})
}

// thinBody is what ServiceDesk Plus has to send; the worker asks the desk for the rest. How the desk spells the variable is
// its own affair: its form inserts it.
const thinBody = `{"event": "ticket_created", "ticket_id": "…"}`

// menus say where a desk has its webhooks.
var menus = map[string]string{
	tenant.OnPrem: "Admin › Integrations › Webhooks", tenant.MSPOnPrem: "Admin › Integrations › Webhooks",
	tenant.Cloud: "Setup › Automation › Custom Actions › Webhook", tenant.MSPCloud: "Setup › Automation › Custom Actions › Webhook",
}

func newSecretView(s operator.NewSecret, heading string) secretView {
	return secretView{
		Name: s.Tenant.Name, Href: tenantHref(s.Tenant.ID), Heading: heading, Secret: s.Secret.Reveal(), Path: s.Tenant.WebhookPath,
		Payload: thinBody, Menu: menus[s.Tenant.Edition], RunsHref: base + "/runs?tenant=" + s.Tenant.ID,
	}
}
