package app

import (
	"context"

	"github.com/jackc/pgx/v5"

	"aiagents/modules/enhancement"
	"aiagents/modules/enhancement/feed"
	"aiagents/modules/enhancement/retrieval"
	"aiagents/modules/enhancement/systems"
	"aiagents/modules/notifier"
	"aiagents/modules/tenant"
)

// lister: feed lists tickets and solutions through notifier.
type lister struct{ notes *notifier.Module }

func (a lister) ListTickets(ctx context.Context, tenantID string, q feed.TicketQuery) (feed.TicketPage, error) {
	page, err := a.notes.ListRequests(ctx, tenantID, notifier.TicketQuery(q))
	if err != nil {
		return feed.TicketPage{}, err
	}
	out := feed.TicketPage{Next: page.Next}
	for _, t := range page.Tickets {
		out.Tickets = append(out.Tickets, feed.Brief{
			ID: t.ID, Subject: t.Subject, Priority: t.Priority, Status: t.Status, ServiceRequest: t.ServiceRequest,
			CreatedAt: t.CreatedAt, UpdatedAt: t.UpdatedAt, ResolvedAt: t.ResolvedAt,
		})
	}
	return out, nil
}

func (a lister) Ticket(ctx context.Context, tenantID, ticketID string) (feed.Ticket, error) {
	t, err := a.notes.GetRequest(ctx, tenantID, ticketID)
	return feed.Ticket{
		ID: t.ID, Subject: t.Subject, Description: t.Description, Resolution: t.Resolution, ResolvedAt: t.ResolvedAt,
		Priority: t.Priority, Tags: t.Tags, AccountID: t.AccountID,
	}, err
}

func (a lister) ListSolutions(ctx context.Context, tenantID string, start int) ([]feed.Solution, int, error) {
	page, err := a.notes.ListSolutions(ctx, tenantID, start)
	var out []feed.Solution
	for _, s := range page.Solutions {
		out = append(out, feed.Solution{ID: s.ID, Title: s.Title, Body: s.HTML})
	}
	return out, page.Next, err
}

func (a lister) ListAssets(ctx context.Context, tenantID string, start int) ([]feed.Asset, int, error) {
	page, err := a.notes.ListAssets(ctx, tenantID, start)
	var out []feed.Asset
	for _, x := range page.Assets {
		out = append(out, feed.Asset{ID: x.ID, Name: x.Name, IP: x.IP, Type: x.Type, Location: x.Site})
	}
	return out, page.Next, err
}

// machines: feed keeps a desk's assets in the inventory.
type machines struct {
	inventory *systems.Inventory
	tenants   *tenant.Module
}

// Mirror refuses a tenant with several MSP accounts, as reading its inventory does.
func (a machines) Mirror(ctx context.Context, tenantID string) (feed.Mirror, error) {
	if _, err := oneAccount(ctx, a.tenants, tenantID); err != nil {
		return nil, err
	}
	m, err := a.inventory.Mirror(ctx, tenantID)
	return mirror{m}, err
}

type mirror struct{ *systems.Mirror }

func (m mirror) Put(ctx context.Context, assets []feed.Asset) (feed.Change, int, error) {
	out := make([]systems.Asset, len(assets))
	for i, a := range assets {
		out[i] = systems.Asset(a)
	}
	added, changed, skipped, err := m.Mirror.Put(ctx, out)
	return feed.Change{Added: added, Updated: changed, Unchanged: len(assets) - added - changed - skipped}, skipped, err
}

// copies: feed keeps tickets and articles in retrieval.
type copies struct{ store *retrieval.Store }

func (a copies) PutTickets(ctx context.Context, tenantID string, tickets []feed.Ticket) (feed.Change, error) {
	out := make([]retrieval.Ticket, len(tickets))
	for i, t := range tickets {
		out[i] = retrieval.Ticket(t)
	}
	change, err := a.store.UpsertTickets(ctx, tenantID, out)
	return feed.Change(change), err
}

func (a copies) PutArticles(ctx context.Context, tenantID string, articles []feed.Article) (feed.Change, error) {
	out := make([]retrieval.Article, len(articles))
	for i, x := range articles {
		_, sections := retrieval.SectionsFromHTML(x.Body)
		out[i] = retrieval.Article{ID: x.ID, Title: x.Title, URL: x.URL, Source: x.Source, Collection: x.Collection, Sections: sections}
	}
	change, err := a.store.UpsertArticles(ctx, tenantID, out)
	return feed.Change(change), err
}

func (a copies) KeepArticles(ctx context.Context, tenantID, collection string, ids []string) (int, error) {
	return a.store.KeepArticles(ctx, tenantID, collection, ids)
}

// missed: feed hands tickets whose webhook never came to enhancement.
type missed struct{ enhancements *enhancement.Module }

func (a missed) ReceiveTx(ctx context.Context, tx pgx.Tx, d feed.Delivery) (bool, error) {
	r, err := a.enhancements.ReceiveTx(ctx, tx, enhancement.Delivery{
		TenantID: d.TenantID, Key: d.Key, Event: d.Event, TicketID: d.TicketID, CorrelationID: d.CorrelationID,
		Subject: d.Subject, Description: d.Description, Priority: d.Priority, CreatedAt: d.CreatedAt,
	})
	return !r.Duplicate, err
}

// fed: feed asks tenant whom to feed. A tenant without a key for its desk cannot be listed yet.
type fed struct{ tenants *tenant.Module }

func (a fed) IDs(ctx context.Context) ([]string, error) { return a.tenants.IDs(ctx) }

func (a fed) Tenant(ctx context.Context, tenantID string) (feed.Tenant, error) {
	t, err := a.tenants.Get(ctx, tenantID)
	return feed.Tenant{
		OnboardedAt: t.CreatedAt, Disabled: t.Disabled(), CanList: t.Edition != tenant.Generic && t.APIKey.IsSet(),
		Assets: t.Preferences.SyncAssets && len(t.Settings.AccountIDs) < 2,
	}, err
}
