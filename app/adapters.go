package app

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"aiagents/internal/fault"
	"aiagents/modules/enhancement"
	"aiagents/modules/enhancement/docsearch"
	"aiagents/modules/enhancement/evidence"
	"aiagents/modules/enhancement/monitoring"
	"aiagents/modules/enhancement/retrieval"
	"aiagents/modules/enhancement/systems"
	"aiagents/modules/notifier"
	"aiagents/modules/tenant"
	"aiagents/modules/webhook"
)

// lateQueue breaks the one circle of the wiring: River's client needs the workers, and the workers' module needs the client
// to insert jobs. It is set before anything runs.
type lateQueue struct{ client *queueClient }

func (q *lateQueue) InsertManyTx(ctx context.Context, tx pgx.Tx, jobs []river.InsertManyParams) ([]*rivertype.JobInsertResult, error) {
	if q.client == nil {
		return nil, errQueueStopped
	}
	return q.client.InsertManyTx(ctx, tx, jobs)
}

// callers: webhook asks tenant who may call.
type callers struct{ tenants *tenant.Module }

// Find never asks the database, so an unknown tenant costs what a known one does.
func (a callers) Find(_ context.Context, id string) (webhook.Tenant, error) {
	if t, ok := a.tenants.Cached(id); ok {
		return caller(t, !t.Disabled()), nil
	}
	return caller(a.tenants.Decoy(), false), nil
}

// FindFresh asks it once, for known and unknown tenants alike.
func (a callers) FindFresh(ctx context.Context, id string) (webhook.Tenant, error) {
	t, err := a.tenants.Fresh(ctx, id)
	switch {
	case err == nil:
		return caller(t, !t.Disabled()), nil
	case fault.Is(err, fault.NotFound), fault.Is(err, fault.Invalid):
		return caller(a.tenants.Decoy(), false), nil
	}
	return webhook.Tenant{}, err
}

func caller(t tenant.Tenant, active bool) webhook.Tenant {
	secrets := t.WebhookSecrets(time.Now())
	return webhook.Tenant{
		ID: t.ID, Active: active, Secrets: []string{secrets[0].Reveal(), secrets[1].Reveal()},
		Kinds: t.WebhookAuth, AllowedSources: t.Settings.AllowedCIDRs,
	}
}

// receiver: webhook hands deliveries to enhancement.
type receiver struct{ enhancements *enhancement.Module }

func (a receiver) ReceiveAllTx(ctx context.Context, tx pgx.Tx, deliveries []webhook.Delivery) ([]webhook.Receipt, error) {
	in := make([]enhancement.Delivery, len(deliveries))
	for i, d := range deliveries {
		in[i] = enhancement.Delivery(d)
	}
	out, err := a.enhancements.ReceiveAllTx(ctx, tx, in)
	receipts := make([]webhook.Receipt, len(out))
	for i, r := range out {
		receipts[i] = webhook.Receipt(r)
	}
	return receipts, err
}

// resolved: webhook keeps a past ticket.
type resolved struct{ tickets *retrieval.Store }

func (a resolved) RecordTx(ctx context.Context, tx pgx.Tx, tenantID string, t webhook.ResolvedTicket) error {
	return a.tickets.UpsertTicketTx(ctx, tx, tenantID, retrieval.Ticket{
		ID: t.TicketID, Subject: t.Subject, Description: t.Description, Resolution: t.Resolution,
		ResolvedAt: t.ResolvedAt, Priority: t.Priority, Tags: t.Tags, Source: "webhook",
	})
}

// resolutions: enhancement keeps a past ticket that it fetched from the desk.
type resolutions struct{ tickets *retrieval.Store }

func (a resolutions) RecordTx(ctx context.Context, tx pgx.Tx, tenantID string, t enhancement.DeskTicket) error {
	return a.tickets.UpsertTicketTx(ctx, tx, tenantID, retrieval.Ticket{
		ID: t.Ticket.ID, Subject: t.Ticket.Subject, Description: t.Ticket.Description, Resolution: t.Resolution,
		ResolvedAt: t.ResolvedAt, Priority: t.Ticket.Priority, Tags: t.Tags, AccountID: t.Ticket.AccountID, Source: "webhook",
	})
}

// search: enhancement looks for similar tickets and articles.
type search struct {
	tickets *retrieval.Store
	tenants *tenant.Module
}

func (a search) SimilarTickets(ctx context.Context, tenantID string, t evidence.Ticket) ([]evidence.SimilarTicket, error) {
	q, err := a.query(ctx, tenantID, t)
	if err != nil {
		return nil, err
	}
	return a.tickets.SearchSimilar(ctx, tenantID, q)
}

func (a search) Articles(ctx context.Context, tenantID string, t evidence.Ticket) ([]evidence.Article, error) {
	if _, err := oneAccount(ctx, a.tenants, tenantID); err != nil {
		return nil, err
	}
	q, err := a.query(ctx, tenantID, t)
	if err != nil {
		return nil, err
	}
	return a.tickets.SearchArticles(ctx, tenantID, q)
}

// hosts: enhancement recognises the systems that a ticket names.
type hosts struct {
	inventory *systems.Inventory
	tenants   *tenant.Module
}

func (a hosts) Lookup(ctx context.Context, tenantID, text string) ([]evidence.System, error) {
	if _, err := oneAccount(ctx, a.tenants, tenantID); err != nil {
		return nil, err
	}
	return a.inventory.Lookup(ctx, tenantID, text)
}

// oneAccount returns the tenant, and refuses one with several MSP accounts: articles, hosts and what other systems say are
// known by tenant only, and one customer of an MSP must not see another's. The note says why they were not looked at.
func oneAccount(ctx context.Context, tenants *tenant.Module, tenantID string) (tenant.Tenant, error) {
	t, err := tenants.Get(ctx, tenantID)
	if err == nil && len(t.Settings.AccountIDs) > 1 {
		err = fault.New(fault.Forbidden, "not kept apart by account: give each account a tenant of its own")
	}
	return t, err
}

// query limits the search to the ticket's own account where a tenant has several: they are customers of one MSP and must not
// see each other. Where there is one account, all tickets of the tenant are its own, imported ones without an account too.
func (a search) query(ctx context.Context, tenantID string, t evidence.Ticket) (retrieval.Query, error) {
	owner, err := a.tenants.Get(ctx, tenantID)
	if err != nil {
		return retrieval.Query{}, err
	}
	q := retrieval.Query{Subject: t.Subject, Description: t.Description, ExcludeTicketID: t.ID, Requester: t.Requester}
	if len(owner.Settings.AccountIDs) < 2 {
		return q, nil
	}
	if t.AccountID == "" {
		// To the search, no account means any account.
		return retrieval.Query{}, fault.New(fault.Invalid, "the ticket's account is not known, and this tenant has several")
	}
	q.AccountID = t.AccountID
	return q, nil
}

// desk: enhancement reads tickets through notifier.
type desk struct{ notes *notifier.Module }

func (a desk) Ticket(ctx context.Context, tenantID, ticketID string) (enhancement.DeskTicket, error) {
	t, err := a.notes.GetRequest(ctx, tenantID, ticketID)
	if err != nil {
		return enhancement.DeskTicket{}, err
	}
	return enhancement.DeskTicket{
		Ticket: evidence.Ticket{
			ID: t.ID, Subject: t.Subject, Description: t.Description, Priority: t.Priority, Category: t.Category,
			Requester: t.Requester, AccountID: t.AccountID, AccountName: t.AccountName, CreatedAt: t.CreatedAt,
		},
		Resolution: t.Resolution, ResolvedAt: t.ResolvedAt, Tags: t.Tags,
	}, nil
}

// notes: enhancement has notes posted by notifier, those of the synthetic tenant by one of its own.
type notes struct{ notes, synthetic *notifier.Module }

func (a notes) of(tenantID string) *notifier.Module {
	if tenantID == tenant.Canary {
		return a.synthetic
	}
	return a.notes
}

func (a notes) Post(ctx context.Context, n enhancement.Note) (enhancement.Posted, error) {
	r, err := a.of(n.TenantID).Post(ctx, postRequest(n))
	if err != nil {
		return enhancement.Posted{}, unfenced(err)
	}
	return enhancement.Posted{NoteID: r.NoteID, Adopted: r.Adopted, Recorded: r.Recorded}, nil
}

func (a notes) RecordPostedTx(ctx context.Context, tx pgx.Tx, n enhancement.Note, p enhancement.Posted) error {
	return unfenced(a.of(n.TenantID).RecordPostedTx(ctx, tx, postRequest(n), p.NoteID))
}

func postRequest(n enhancement.Note) notifier.PostRequest {
	return notifier.PostRequest{
		TenantID: n.TenantID, EnhancementID: n.Enhancement.String(), TicketID: n.TicketID,
		Reference: n.Reference, Epoch: n.Epoch, HTML: n.HTML, Repost: n.Repost,
	}
}

// unfenced translates notifier's word for a newer owner into enhancement's.
func unfenced(err error) error {
	var f *fault.Error
	if errors.As(err, &f) && f.Code == "FENCED" {
		return enhancement.ErrFenced
	}
	return err
}

// connections: notifier asks tenant how to reach a desk.
type connections struct{ tenants *tenant.Module }

func (a connections) Connection(ctx context.Context, tenantID string) (notifier.Connection, error) {
	c, err := a.tenants.Connection(ctx, tenantID)
	if err != nil {
		return notifier.Connection{}, err
	}
	return notifier.Connection{
		TenantID: c.TenantID, Edition: c.Edition, BaseURL: c.URL, Portal: c.Portal, APIKey: c.APIKey.Reveal(),
		OAuth: notifier.OAuth{
			AccountsURL: c.OAuth.AccountsURL, ClientID: c.OAuth.ClientID,
			ClientSecret: c.OAuth.ClientSecret.Reveal(), RefreshToken: c.OAuth.RefreshToken.Reveal(),
		},
		NoteKey: c.NoteKey, AccountIDs: c.AccountIDs, OnAmbiguous: c.OnAmbiguous,
	}, nil
}

// preferences: enhancement asks tenant how it wants its notes.
type preferences struct{ tenants *tenant.Module }

func (a preferences) Preferences(ctx context.Context, tenantID string) (enhancement.Preferences, error) {
	t, err := a.tenants.Get(ctx, tenantID)
	if err != nil {
		return enhancement.Preferences{}, err
	}
	if t.Disabled() {
		return enhancement.Preferences{}, fault.New(fault.Forbidden, "the tenant is disabled")
	}
	p := t.Preferences
	return enhancement.Preferences{
		Language: p.NoteLanguage, MaxWords: p.MaxWords, DailyTokenBudget: p.DailyTokenBudget,
		Model: p.Model, ShowRequester: p.VisibleTo.ShowRequesterName,
		MustFetch: t.Edition == tenant.MSPOnPrem || t.Edition == tenant.MSPCloud,
		CanFetch:  t.Edition != tenant.Generic,
		Skip: func(t evidence.Ticket) string {
			if rule, skip := p.Skip.Skips(t.Subject, t.Category, t.Priority); skip {
				return "the tenant's preferences skip it: " + rule
			}
			return ""
		},
	}, nil
}

func (a preferences) IDs(ctx context.Context) ([]string, error) { return a.tenants.IDs(ctx) }

// monitors: enhancement looks at a tenant's monitoring through the guarded client.
type monitors struct {
	tenants *tenant.Module
	client  *http.Client
}

func (a monitors) Observe(ctx context.Context, tenantID string, hosts []evidence.System, at time.Time) ([]evidence.Observation, error) {
	t, err := oneAccount(ctx, a.tenants, tenantID)
	if err != nil {
		return nil, err
	}
	providers, err := monitoring.Open(t.Preferences.Monitoring, secretsOf(ctx, a.tenants, tenantID), a.client)
	if err != nil {
		return nil, err
	}
	if len(providers) == 0 {
		return nil, enhancement.ErrNotConfigured
	}
	return monitoring.Gather(ctx, providers, monitoring.Request{Hosts: hosts, At: at})
}

// documents: enhancement searches a tenant's documentation systems through the guarded client.
type documents struct {
	tenants  *tenant.Module
	client   *http.Client
	searcher *docsearch.Searcher
}

func (a documents) Documents(ctx context.Context, tenantID string, t evidence.Ticket) ([]evidence.Article, error) {
	owner, err := oneAccount(ctx, a.tenants, tenantID)
	if err != nil {
		return nil, err
	}
	providers, err := docsearch.Open(owner.Preferences.Documentation, secretsOf(ctx, a.tenants, tenantID), a.client)
	if err != nil {
		return nil, err
	}
	if len(providers) == 0 {
		return nil, enhancement.ErrNotConfigured
	}
	return a.searcher.Search(ctx, tenantID, providers, t)
}

// secretsOf finds the secrets to which a tenant's preferences refer by name.
func secretsOf(ctx context.Context, tenants *tenant.Module, tenantID string) func(name string) (string, error) {
	return func(name string) (string, error) {
		value, err := tenants.Secret(ctx, tenantID, name)
		return value.Reveal(), err
	}
}
