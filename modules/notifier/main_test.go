package notifier

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"aiagents/db"
	"aiagents/db/dbtest"
	"aiagents/internal/egress"
	"aiagents/internal/simulator/servicedesk"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

const (
	tenant = "acme"
	key    = "technician-key-4711"
)

// connections serves one connection per tenant; tests change it while the module runs.
type connections struct {
	mu   sync.Mutex
	byID map[string]Connection
}

func (c *connections) Connection(_ context.Context, tenantID string) (Connection, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	conn, ok := c.byID[tenantID]
	if !ok {
		return Connection{}, errors.New("no such tenant")
	}
	return conn, nil
}

func (c *connections) change(tenantID string, f func(*Connection)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	conn := c.byID[tenantID]
	f(&conn)
	c.byID[tenantID] = conn
}

// tagSealer marks what it sealed with tenant and field, so that a mix-up is found; it is not encryption.
type tagSealer struct{}

func (tagSealer) Seal(_ context.Context, tenantID, field string, plaintext []byte) ([]byte, error) {
	return fmt.Appendf(nil, "%s|%s|%x", tenantID, field, plaintext), nil
}

func (tagSealer) Open(_ context.Context, tenantID, field string, sealed []byte) ([]byte, error) {
	rest, ok := strings.CutPrefix(string(sealed), tenantID+"|"+field+"|")
	if !ok {
		return nil, errors.New("sealed for another place")
	}
	var plain []byte
	_, err := fmt.Sscanf(rest, "%x", &plain)
	return plain, err
}

// bench is a desk, a database and as many modules as a test wants, as processes would share them.
type bench struct {
	t      testing.TB
	db     *db.DB
	dbURLs *dbtest.Database
	desk   *servicedesk.Desk
	server *servicedesk.Server
	conns  *connections
	config Config
}

// steady is the tests' configuration: the desk gets its usual time, so that a busy machine makes no request ambiguous, and nothing else waits.
func steady() Config {
	c := DefaultConfig()
	c.ProbeInterval = 200 * time.Millisecond
	c.RequestsPerSecond, c.ListsPerSecond = 1000, 1000
	c.BreakerFailures, c.BreakerPause = 1000, 100*time.Millisecond
	return c
}

// hasty makes ambiguous requests end soon: it keeps the protocol's proportions and shrinks its times.
func (b *bench) hasty() *bench {
	b.config.PostTimeout, b.config.ServerSlack, b.config.ListDelay = 700*time.Millisecond, 600*time.Millisecond, 200*time.Millisecond
	return b
}

func options(edition servicedesk.Edition) servicedesk.Options {
	o := servicedesk.Options{Edition: edition, Seed: 1}
	switch edition {
	case servicedesk.Cloud, servicedesk.MSPCloud:
		o.Portal = "itdesk"
		o.OAuth = servicedesk.OAuth{ClientID: "client", ClientSecret: "client-secret", RefreshToken: "refresh-token"}
	default:
		o.APIKey = key
	}
	if edition == servicedesk.MSPOnPrem || edition == servicedesk.MSPCloud {
		o.Accounts = []servicedesk.Account{{ID: "301", Name: "Harbor Clinic"}, {ID: "302", Name: "Ridgeline"}}
	}
	return o
}

func newBench(t testing.TB, o servicedesk.Options) *bench {
	t.Helper()
	desk, err := servicedesk.New(o)
	require.NoError(t, err)
	server, err := servicedesk.Serve("127.0.0.1:0", desk)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	d := dbtest.New(t)
	b := &bench{t: t, db: d.DB, dbURLs: d, desk: desk, server: server, config: steady(), conns: &connections{byID: map[string]Connection{}}}
	c := Connection{TenantID: tenant, Edition: string(o.Edition), BaseURL: server.URL, Portal: o.Portal, APIKey: o.APIKey}
	if o.Portal != "" {
		c.OAuth = OAuth{server.URL, o.OAuth.ClientID, o.OAuth.ClientSecret, o.OAuth.RefreshToken}
	}
	if len(o.Accounts) > 0 {
		c.AccountIDs = []string{o.Accounts[0].ID}
	}
	b.conns.byID[tenant] = c
	return b
}

// module is a new process on the same database and desk.
func (b *bench) module(change ...func(*Deps, *Config)) *Module {
	b.t.Helper()
	guard, err := egress.New(egress.Policy{AllowLoopback: true, AllowHTTP: true})
	require.NoError(b.t, err)
	d := Deps{DB: b.db, Connections: b.conns, Sealer: tagSealer{}, Egress: guard, Logger: slog.New(slog.DiscardHandler)}
	c := b.config
	for _, f := range change {
		f(&d, &c)
	}
	m, err := New(d, c)
	require.NoError(b.t, err)
	b.t.Cleanup(m.Close)
	return m
}

func (b *bench) ticket() string {
	b.t.Helper()
	t, err := b.desk.AddTicket(servicedesk.Ticket{
		Subject: "VPN drops every hour", Description: "<p>The tunnel to <b>HC-FW-01</b> drops.</p><p>Error 809</p>", Priority: "High",
		Category: "Network", Requester: servicedesk.Person{Name: "Dana Whitfield"},
	})
	require.NoError(b.t, err)
	return t.ID
}

// request makes the enhancement's row and asks for its note.
func (b *bench) request(ticketID string) PostRequest {
	b.t.Helper()
	id := uuid.NewString()
	reference := "AIA-" + strings.ToUpper(strings.ReplaceAll(id, "-", ""))[:10]
	require.NoError(b.t, b.db.InTenantTx(b.t.Context(), tenant, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			INSERT INTO enhancement_history (tenant_id, id, event_key, event, ticket_id, reference)
			VALUES ($1, $2::text::uuid, decode(replace($2, '-', ''), 'hex'), 'ticket_created', $3, $4)`, tenant, id, ticketID+"/"+id, reference)
		return err
	}))
	return PostRequest{
		TenantID: tenant, EnhancementID: id, TicketID: ticketID, Reference: reference, Epoch: 1,
		HTML: "<p><strong>Likely the hourly key renewal of HC-FW-01 fails.</strong></p><ul><li>T-17: same error 809, fixed by firmware 7.2</li></ul><p>Ref " + reference + "</p>",
	}
}

// exec changes rows behind the module's back, as the passing of time or an operator would.
func (b *bench) exec(sql string, args ...any) {
	b.t.Helper()
	require.NoError(b.t, b.db.InTenantTx(b.t.Context(), tenant, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, sql, args...)
		return err
	}))
}

func (b *bench) row(r PostRequest) (row postRow) {
	b.t.Helper()
	require.NoError(b.t, b.db.InTenantTx(b.t.Context(), tenant, func(ctx context.Context, tx pgx.Tx) (err error) {
		row, err = onePost(ctx, tx, tenant, r.EnhancementID)
		return err
	}))
	return row
}

// serveHTTP is a bare server, for answers that the simulator does not give.
func serveHTTP(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}
