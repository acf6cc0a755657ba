package tenant_test

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"aiagents/db/dbtest"
	"aiagents/internal/fault"
	"aiagents/internal/secret"
	"aiagents/modules/tenant"
)

const patience = 20 * time.Second

// listen runs Listen until the test ends and waits until it hears.
func listen(t *testing.T, m *tenant.Module) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- m.Listen(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	select {
	case <-m.Listening():
	case <-time.After(patience):
		t.Fatal("Listen did not start")
	}
}

// behindTheBack changes a name without a notification, so that only the database knows.
func behindTheBack(t *testing.T, d *dbtest.Database, id, name string) {
	t.Helper()
	inTenant(t, d.DB, id, `UPDATE tenant_configs SET name = '`+name+`' WHERE tenant_id = '`+id+`'`)
}

func nameOf(t *testing.T, m *tenant.Module, id string) string {
	t.Helper()
	got, err := m.Get(t.Context(), id)
	require.NoError(t, err)
	return got.Name
}

func TestGetIsCachedForItsTimeAndFreshIsNot(t *testing.T) {
	t.Parallel()
	d, c := dbtest.New(t), newClock()
	m := newModule(t, d.DB, options{clock: c})
	create(t, m, "acme")
	require.Equal(t, "Tenant acme", nameOf(t, m, "acme"))
	behindTheBack(t, d, "acme", "Second")

	c.Advance(5*time.Minute - time.Second)
	require.Equal(t, "Tenant acme", nameOf(t, m, "acme"))
	c.Advance(time.Second)
	require.Equal(t, "Second", nameOf(t, m, "acme"), "the time is up")

	behindTheBack(t, d, "acme", "Third")
	fresh, err := m.Fresh(t.Context(), "acme")
	require.NoError(t, err)
	require.Equal(t, "Third", fresh.Name)
	require.Equal(t, "Third", nameOf(t, m, "acme"), "Fresh refills the cache")
}

func TestAChangeIsSeenByAnotherProcessAtOnce(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	cli, server, deaf := newModule(t, d.DB, options{}), newModule(t, d.DB, options{}), newModule(t, d.DB, options{})
	create(t, cli, "acme")
	create(t, cli, "bolt")
	listen(t, server)
	for _, m := range []*tenant.Module{server, deaf} {
		require.Equal(t, "Tenant acme", nameOf(t, m, "acme"))
		require.Equal(t, "Tenant bolt", nameOf(t, m, "bolt"))
	}
	behindTheBack(t, d, "bolt", "Never heard of")
	name := "New name"
	_, err := cli.Update(t.Context(), actor, "acme", tenant.UpdateInput{Name: &name})
	require.NoError(t, err)

	require.Eventually(t, func() bool { return nameOf(t, server, "acme") == name }, patience, time.Millisecond)
	require.Equal(t, "Tenant bolt", nameOf(t, server, "bolt"), "only the changed tenant is dropped")
	require.Equal(t, "Tenant acme", nameOf(t, deaf, "acme"), "who does not listen does not hear")

	_, err = cli.Delete(t.Context(), actor, "acme")
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		_, err := server.Get(t.Context(), "acme")
		return fault.Is(err, fault.NotFound)
	}, patience, time.Millisecond)
}

func TestARolledBackChangeNotifiesNobody(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	cli, server := newModule(t, d.DB, options{}), newModule(t, d.DB, options{})
	create(t, cli, "acme")
	listen(t, server)
	require.Equal(t, "Tenant acme", nameOf(t, server, "acme"))
	behindTheBack(t, d, "acme", "Second")
	_, err := cli.Update(t.Context(), actor, "acme", tenant.UpdateInput{Version: 99})
	require.True(t, fault.Is(err, fault.Conflict))

	// A notification of another tenant, sent later, has arrived when this one would have.
	create(t, cli, "bolt")
	require.Equal(t, "Tenant bolt", nameOf(t, server, "bolt"))
	name := "New name"
	_, err = cli.Update(t.Context(), actor, "bolt", tenant.UpdateInput{Name: &name})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return nameOf(t, server, "bolt") == name }, patience, time.Millisecond)
	require.Equal(t, "Tenant acme", nameOf(t, server, "acme"))
}

// hook is a log handler that acts on each message. Listen logs an interruption while it is cut off.
type hook struct {
	slog.Handler
	act func()
}

func (h hook) Enabled(context.Context, slog.Level) bool { return true }

func (h hook) Handle(context.Context, slog.Record) error {
	h.act()
	return nil
}

func TestNothingIsServedFromTheCacheWhileListeningIsInterrupted(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	var m *tenant.Module
	seen := make(chan string, 8)
	m = newModule(t, d.DB, options{log: slog.New(hook{Handler: slog.DiscardHandler, act: func() {
		got, err := m.Get(context.Background(), "acme")
		if err != nil {
			got.Name = err.Error()
		}
		seen <- got.Name
	}})})
	create(t, m, "acme")
	listen(t, m)
	require.Equal(t, "Tenant acme", nameOf(t, m, "acme"))
	behindTheBack(t, d, "acme", "Second")
	require.Equal(t, 1, count(t, d, `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
		WHERE datname = current_database() AND query = 'LISTEN tenant_changed'`))
	select {
	case name := <-seen:
		require.Equal(t, "Second", name)
	case <-time.After(patience):
		t.Fatal("the interruption was not logged")
	}
}

func TestTheCacheStartsEmptyAfterAReconnect(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	m := newModule(t, d.DB, options{})
	create(t, m, "acme")
	listen(t, m)
	require.Equal(t, "Tenant acme", nameOf(t, m, "acme"))
	behindTheBack(t, d, "acme", "Second")
	require.Equal(t, "Tenant acme", nameOf(t, m, "acme"))

	const listeners = `FROM pg_stat_activity WHERE datname = current_database() AND query = 'LISTEN tenant_changed'`
	require.Equal(t, 1, count(t, d, `SELECT count(pg_terminate_backend(pid)) `+listeners))
	require.Eventually(t, func() bool { return nameOf(t, m, "acme") == "Second" }, patience, time.Millisecond)

	require.Eventually(t, func() bool { return count(t, d, `SELECT count(*) `+listeners) == 1 }, patience, 20*time.Millisecond)
	require.Equal(t, "Second", nameOf(t, m, "acme"), "what was cached before the break is gone")
	name := "Third"
	_, err := newModule(t, d.DB, options{}).Update(t.Context(), actor, "acme", tenant.UpdateInput{Name: &name})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return nameOf(t, m, "acme") == name }, patience, time.Millisecond, "it hears again")
}

func TestNothingIsCachedOnceListeningHasEnded(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	m := newModule(t, d.DB, options{})
	create(t, m, "acme")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, m.Listen(ctx))
	require.Equal(t, "Tenant acme", nameOf(t, m, "acme"))
	behindTheBack(t, d, "acme", "Second")
	require.Equal(t, "Second", nameOf(t, m, "acme"))
}

// Fresh asks for the time between reading the row and keeping it. A change that commits just then must not be hidden by
// the row that was read before.
func TestAReaderDoesNotKeepWhatWasReplacedMeanwhile(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	var meanwhile func()
	m, err := tenant.New(tenant.Deps{DB: d.DB, Keyring: keys(t, "k1"), Logger: slog.New(slog.DiscardHandler), Clock: func() time.Time {
		if act := meanwhile; act != nil {
			meanwhile = nil
			act()
		}
		return time.Now()
	}}, tenant.DefaultConfig())
	require.NoError(t, err)
	create(t, m, "acme")
	name := "New name"
	meanwhile = func() {
		_, err := m.Update(t.Context(), actor, "acme", tenant.UpdateInput{Name: &name})
		require.NoError(t, err)
	}
	old, err := m.Fresh(t.Context(), "acme")
	require.NoError(t, err)
	require.Equal(t, "Tenant acme", old.Name, "it was read before the change")
	require.Equal(t, name, nameOf(t, m, "acme"))
}

func TestARotationUnderLoadRefusesNoValidSecret(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	cli, server := newModule(t, d.DB, options{}), newModule(t, d.DB, options{})
	var current atomic.Value
	current.Store(create(t, cli, "acme").WebhookSecret.Reveal())
	listen(t, server)
	var stop atomic.Bool
	var senders sync.WaitGroup
	var accepted [4]atomic.Int64
	for i := range accepted {
		senders.Go(func() {
			for !stop.Load() {
				presented := secret.New(current.Load().(string))
				if ok, err := authenticate(context.Background(), server, "acme", presented); !ok || err != nil {
					t.Errorf("a valid secret was refused: %v", err)
					return
				}
				accepted[i].Add(1)
			}
		})
	}
	// Two more from each sender: the second began after now.
	everySender := func() {
		for i := range accepted {
			seen := accepted[i].Load()
			require.Eventually(t, func() bool { return accepted[i].Load() >= seen+2 }, patience, time.Millisecond)
		}
	}
	for range 6 {
		rotated, err := cli.RotateWebhookSecret(t.Context(), actor, "acme", tenant.RotateInput{Grace: time.Hour})
		require.NoError(t, err)
		everySender() // still with the previous secret
		current.Store(rotated.WebhookSecret.Reveal())
		everySender()
	}
	stop.Store(true)
	senders.Wait()
}

func TestACancelledReadIsAnErrorAndLeavesNothing(t *testing.T) {
	t.Parallel()
	m := newModule(t, dbtest.New(t).DB, options{})
	create(t, m, "acme")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := m.Get(ctx, "acme")
	require.Error(t, err)
	require.NotErrorIs(t, err, pgx.ErrNoRows)
	require.Equal(t, "Tenant acme", nameOf(t, m, "acme"))
}
