package tenant_test

import (
	"context"
	"encoding/base64"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"aiagents/db"
	"aiagents/db/dbtest"
	"aiagents/internal/fault"
	"aiagents/internal/keyring"
	"aiagents/internal/secret"
	"aiagents/modules/tenant"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

const actor = "operator"

// clock is a settable time, close to the database's so that its defaults and ours agree.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Now().UTC()} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func keys(t testing.TB, ids ...string) *keyring.Keyring {
	t.Helper()
	var entries []string
	for _, id := range ids {
		material := strings.Repeat(id, keyring.KeySize)[:keyring.KeySize]
		entries = append(entries, id+":"+base64.StdEncoding.EncodeToString([]byte(material)))
	}
	k, err := keyring.Parse(strings.Join(entries, ","))
	require.NoError(t, err)
	return k
}

type options struct {
	keys  *keyring.Keyring
	clock *clock
	cfg   *tenant.Config
	log   *slog.Logger
}

func newModule(t testing.TB, d *db.DB, o options) *tenant.Module {
	t.Helper()
	if o.keys == nil {
		o.keys = keys(t, "k1")
	}
	if o.clock == nil {
		o.clock = newClock()
	}
	if o.log == nil {
		o.log = slog.New(slog.DiscardHandler)
	}
	cfg := tenant.DefaultConfig()
	if o.cfg != nil {
		cfg = *o.cfg
	}
	m, err := tenant.New(tenant.Deps{DB: d, Keyring: o.keys, Logger: o.log, Clock: o.clock.Now}, cfg)
	require.NoError(t, err)
	return m
}

func input(id string) tenant.CreateInput {
	return tenant.CreateInput{
		ID: id, Name: "Tenant " + id, ServiceDeskURL: "https://desk.example.com/", APIKey: secret.New("api-key-of-" + id),
	}
}

func create(t testing.TB, m *tenant.Module, id string) tenant.Tenant {
	t.Helper()
	created, err := m.Create(t.Context(), actor, input(id))
	require.NoError(t, err)
	return created
}

// inTenant runs statements as the app role inside a tenant's transaction.
func inTenant(t testing.TB, d *db.DB, id string, statements ...string) {
	t.Helper()
	require.NoError(t, d.InTenantTx(t.Context(), id, func(ctx context.Context, tx pgx.Tx) error {
		for _, sql := range statements {
			if _, err := tx.Exec(ctx, sql); err != nil {
				return err
			}
		}
		return nil
	}))
}

// count asks one number as the superuser, whom no policy binds.
func count(t testing.TB, d *dbtest.Database, sql string, args ...any) (n int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), d.AdminURL)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(context.Background())) }()
	require.NoError(t, conn.QueryRow(t.Context(), sql, args...).Scan(&n))
	return n
}

func details(t testing.TB, err error) map[string]string {
	t.Helper()
	var f *fault.Error
	require.ErrorAs(t, err, &f)
	require.Equal(t, fault.Invalid, f.Kind)
	return f.Details
}
