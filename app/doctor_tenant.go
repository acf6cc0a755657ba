package app

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"aiagents/internal/egress"
	"aiagents/internal/fault"
	"aiagents/modules/enhancement"
	"aiagents/modules/enhancement/monitoring"
	"aiagents/modules/notifier"
	"aiagents/modules/tenant"
)

// The window of a tenant's recent history, and the age at which a pending run is stuck and not busy.
const (
	doctorWindow  = 24 * time.Hour
	pendingTooOld = 10 * time.Minute
)

// tenant examines one tenant. Without its keys nothing else of it can be read.
func (d *doctor) tenant(ctx context.Context, f *findings, s *system, listed tenant.Listing, primary string, listening bool) {
	if listed.DisabledAt != nil {
		f.ok("tenant", "disabled since %s: its webhooks are refused, nothing else was checked", listed.DisabledAt.UTC().Format(time.RFC3339))
		return
	}
	t, err := s.tenants.Fresh(ctx, listed.ID)
	if err != nil {
		f.fail("tenant keys", "put the key that is named back into AI_AGENTS_ENCRYPTION_KEYS; see docs/runbooks/secret-rotation.md",
			"its secrets cannot be opened: %s", explain(err))
		return
	}
	if listed.EncryptionKey != primary {
		f.warn("tenant keys", "run 'aiagents keys rotate' once every process has the new keyring",
			"protected by the key %s, which is no longer the first", listed.EncryptionKey)
	} else {
		f.ok("tenant keys", "open")
	}
	d.desk(ctx, f, s, t)
	d.monitoring(ctx, f, s, t)
	d.history(ctx, f, s, t)
	if listening {
		d.roundTrip(ctx, f, t)
	}
}

// desk asks the tenant's service desk for the shortest list. Whether notes may be added shows only when one is, so the last
// one is named.
func (d *doctor) desk(ctx context.Context, f *findings, s *system, t tenant.Tenant) {
	state, err := s.notes.ConnectionState(ctx, t.ID)
	if err == nil {
		err = s.notes.Probe(ctx, t.ID)
	}
	paused := ""
	if state.Paused {
		paused = fmt.Sprintf("; paused since %s: %s", state.Since.UTC().Format(time.RFC3339), state.Reason)
	}
	if err != nil {
		f.fail("desk", deskStep(t, err), "%s%s", explain(err), paused)
		return
	}
	if state.Paused {
		f.warn("desk", "nothing, unless the reason comes back: then give the key's technician a role that may add notes",
			"reads well and was resumed%s", paused)
	} else {
		f.ok("desk", "address, credentials and the right to read are good; %s", lastNote(ctx, s, t.ID))
	}
	d.edition(ctx, f, s, t)
}

// lastNote is the proof of the right to write.
func lastNote(ctx context.Context, s *system, tenantID string) string {
	recent, err := s.enhancements.List(ctx, tenantID, enhancement.Filter{Status: "completed", Limit: 100})
	if err != nil {
		return "the last note is not known"
	}
	for _, e := range recent {
		if e.NoteID != "" && e.CompletedAt != nil {
			return "last note at " + e.CompletedAt.UTC().Format(time.RFC3339)
		}
	}
	return "no note yet, so the right to add one is unproven"
}

// edition looks at the oldest tickets for what does not fit the tenant's edition: the accounts of an MSP's desk.
func (d *doctor) edition(ctx context.Context, f *findings, s *system, t tenant.Tenant) {
	if t.Edition == tenant.Generic {
		return
	}
	page, err := s.notes.ListRequests(ctx, t.ID, notifier.TicketQuery{Start: 1})
	if err != nil {
		f.warn("desk tickets", deskStep(t, err), "they cannot be listed: %s", explain(err))
		return
	}
	if msp := t.Edition == tenant.MSPOnPrem || t.Edition == tenant.MSPCloud; msp {
		if len(page.Tickets) == 0 && page.Hidden > 0 {
			f.warn("desk accounts", fmt.Sprintf("compare --account-ids of 'aiagents tenant update %s' with account.id on the desk", t.ID),
				"none of the oldest %d tickets belongs to the accounts %s", page.Hidden, strings.Join(t.Settings.AccountIDs, ", "))
		}
		return
	}
	for _, ticket := range page.Tickets {
		if ticket.AccountID != "" {
			f.warn("desk edition", fmt.Sprintf("run 'aiagents tenant update %s --edition msp_%s --account-ids ID'", t.ID, t.Edition),
				"its tickets carry accounts, as an MSP's desk has them: as edition %s, all customers' tickets count as this tenant's", t.Edition)
			return
		}
	}
}

// cloudHosts end the addresses of ServiceDesk Plus Cloud.
var cloudHosts = []string{
	"sdpondemand.manageengine.com", "sdpondemand.manageengine.eu", "sdpondemand.manageengine.in", "servicedeskplus.net.au",
	"servicedeskplus.cn", "servicedeskplus.jp", "servicedeskplus.ca", "servicedeskplus.uk", "servicedeskplus.sa",
}

// deskStep is what to do about a desk that did not answer as it should.
func deskStep(t tenant.Tenant, err error) string {
	update := "aiagents tenant update " + t.ID
	if hint := editionHint(t); hint != "" {
		return hint
	}
	var f *fault.Error
	errors.As(err, &f) // a nil fault has no code
	var refused *egress.RefusedError
	switch {
	case f == nil:
		return "run this again"
	case errors.As(err, &refused) && refused.Allowable, strings.Contains(f.Message, egress.AllowSetting):
		return "if the address is yours, add its range to " + egress.AllowSetting + " and restart every process"
	case f.Code == "DESK_UNAUTHORIZED":
		return "make a new key on the desk, then: " + update + " --servicedesk-api-key-file FILE"
	case f.Code == "DESK_FORBIDDEN":
		return "give the key's technician a role that may view requests and add notes"
	case f.Code == "CONNECTION_INCOMPLETE", f.Code == "DESK_MOVED", f.Code == "DESK_STRAYED", f.Code == "EGRESS_REFUSED":
		return "correct what is named with: " + update + " --servicedesk-url URL (or --portal, --edition, --account-ids)"
	case strings.Contains(networkCause(err), "certificate"):
		return "put the desk's own authority into AI_AGENTS_EGRESS_CA_FILE, or renew the desk's certificate"
	}
	return "see that the desk runs, can be reached from here, and has this URL and portal; docs/runbooks/desk-errors.md"
}

// editionHint compares the edition with the address: the cloud's are known.
func editionHint(t tenant.Tenant) string {
	u, err := url.Parse(t.ServiceDeskURL)
	if err != nil {
		return ""
	}
	for _, host := range cloudHosts {
		atHome := u.Hostname() == host || strings.HasSuffix(u.Hostname(), "."+host)
		if atHome && (t.Edition == tenant.OnPrem || t.Edition == tenant.MSPOnPrem) {
			cloud := strings.Replace(t.Edition, tenant.OnPrem, tenant.Cloud, 1)
			return fmt.Sprintf("the address is the cloud's: run 'aiagents tenant update %s --edition %s' with its OAuth client as key", t.ID, cloud)
		}
	}
	return ""
}

// monitoring opens the tenant's monitoring sources without asking them: settings and the secrets that they name.
func (d *doctor) monitoring(ctx context.Context, f *findings, s *system, t tenant.Tenant) {
	secrets := func(name string) (string, error) {
		value, err := s.tenants.Secret(ctx, t.ID, name)
		return value.Reveal(), err
	}
	sources, err := monitoring.Open(t.Preferences.Monitoring, secrets, s.guard.Client(egress.Options{Peer: "monitoring"}))
	if err != nil {
		f.fail("monitoring", fmt.Sprintf("correct it with 'aiagents tenant update %s --preferences-file FILE' or 'aiagents tenant secret set'", t.ID),
			"%s", explain(err))
	} else if len(sources) > 0 {
		f.ok("monitoring", "%d sources are configured; they are asked when a ticket needs them", len(sources))
	}
}

// history tells what went wrong lately, and what has been pending for too long.
func (d *doctor) history(ctx context.Context, f *findings, s *system, t tenant.Tenant) {
	const most = 1000
	failed, err := s.enhancements.List(ctx, t.ID, enhancement.Filter{Status: "failed", Limit: most})
	var pending []enhancement.Summary
	if err == nil {
		pending, err = s.enhancements.List(ctx, t.ID, enhancement.Filter{Status: "pending", Limit: most})
	}
	if err != nil {
		f.fail("history", "run this again; when it stays, look at the database", "it cannot be read: %s", explain(err))
		return
	}
	lately := 0
	for _, e := range failed {
		if d.now().Sub(e.CreatedAt) < doctorWindow {
			lately++
		}
	}
	if lately > 0 {
		f.warn("history", fmt.Sprintf("see 'aiagents enhancement list --tenant %s --status failed', then 'aiagents enhancement retry'", t.ID),
			"%d failed in the last 24 h, the latest: %s", lately, why(failed[0]))
	}
	// The newest comes first, so the last of them is the oldest.
	if n := len(pending); n > 0 && d.now().Sub(pending[n-1].CreatedAt) > pendingTooOld {
		f.warn("history", fmt.Sprintf("see 'aiagents enhancement list --tenant %s --status pending'", t.ID),
			"%d are pending, the oldest since %s: %s", n, pending[n-1].CreatedAt.UTC().Format(time.RFC3339), orWaiting(why(pending[n-1])))
	} else if lately == 0 {
		f.ok("history", "none failed in the last 24 h, %d pending", n)
	}
}

func orWaiting(reason string) string {
	if reason == "" {
		return "it waits for a worker"
	}
	return reason
}
