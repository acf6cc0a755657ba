package feed

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/stretchr/testify/require"
)

// Queued jobs outlive deploys: their kinds and arguments may gain fields, never lose or rename one.
func TestJobArgsAreGolden(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args   river.JobArgs
		golden string
	}{
		{ReconcileArgs{}, `reconcile_tickets {}`},
		{SyncTicketsArgs{}, `sync_tickets {}`},
		{SyncSolutionsArgs{}, `sync_solutions {}`},
	} {
		raw, err := json.Marshal(c.args)
		require.NoError(t, err)
		require.Equal(t, c.golden, c.args.Kind()+" "+string(raw))
		require.Equal(t, Queue, c.args.(river.JobArgsWithInsertOpts).InsertOpts().Queue)
	}
}

func value(t *testing.T, c prometheus.Counter) float64 {
	t.Helper()
	var m dto.Metric
	require.NoError(t, c.Write(&m))
	return m.GetCounter().GetValue()
}

// client is River with this package's workers, on the bundle's database.
func (b *bundle) client(t *testing.T, periodic []*river.PeriodicJob) *river.Client[pgx.Tx] {
	t.Helper()
	workers := river.NewWorkers()
	b.Register(workers)
	client, err := river.NewClient(riverpgxv5.New(b.db.Pool()), &river.Config{
		Workers: workers, Queues: map[string]river.QueueConfig{Queue: {MaxWorkers: 3}}, PeriodicJobs: periodic,
		FetchCooldown: 10 * time.Millisecond, FetchPollInterval: 20 * time.Millisecond,
	})
	require.NoError(t, err)
	return client
}

func TestJobsFeedEveryTenantWhateverBecomesOfOne(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.desk.add(solved("1", time.Hour), opened("2", 10*time.Minute))
	b.desk.solutions = []Solution{{ID: "1", Title: "VPN", Body: "text"}}
	b.tenants["broken"] = b.tenants["acme"]
	b.tenants["beta"] = b.tenants["acme"]
	b.tenants["off"] = Tenant{Disabled: true, CanList: true}
	b.tenants["generic"] = Tenant{}
	b.desk.broken = "broken"

	client := b.client(t, b.PeriodicJobs())
	events, stop := client.Subscribe(river.EventKindJobFailed, river.EventKindJobCompleted)
	defer stop()
	require.NoError(t, client.Start(t.Context()))
	for range 3 {
		e := <-events
		require.Equal(t, river.EventKindJobFailed, e.Kind, e.Job.Kind)
		require.Contains(t, e.Job.Errors[0].Error, "tenant broken: ")
		require.NotContains(t, e.Job.Errors[0].Error, "beta")
	}
	require.NoError(t, client.Stop(t.Context()))
	require.Equal(t, []string{"acme/1", "beta/1"}, b.store.ids())
	require.Equal(t, []string{"acme/2", "beta/2"}, b.receiver.tickets())
	require.Len(t, b.store.articles, 2)
	require.Equal(t, "ok", b.state(t, KindSolutions).LastResult)
	require.InDelta(t, 2, value(t, b.metrics.reconciled), 0)
	require.InDelta(t, 2, value(t, b.metrics.rows.WithLabelValues(KindTickets, "added")), 0)
	require.InDelta(t, 1, value(t, b.metrics.failures.WithLabelValues(KindTickets, "unavailable")), 0)
}

func TestJobsLeaveAloneWhatWasFedAMomentAgo(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := b.SyncTickets(t.Context(), "acme", SyncOptions{})
	require.NoError(t, err)
	lists := b.desk.lists
	_, err = b.syncTickets(t.Context(), "acme", minAge(15*time.Minute), SyncOptions{})
	require.ErrorIs(t, err, errHeld)
	require.Equal(t, lists, b.desk.lists)
	b.exec(t, `UPDATE feed_state SET last_success_at = now() - interval '8 minutes' WHERE tenant_id = 'acme'`)
	_, err = b.syncTickets(t.Context(), "acme", minAge(15*time.Minute), SyncOptions{})
	require.NoError(t, err)
	require.Equal(t, 5*time.Hour+52*time.Minute+30*time.Second, minAge(6*time.Hour), "a failed mirror is tried again within 15 minutes")
}

func TestOneJobOfAKindAtATime(t *testing.T) {
	t.Parallel()
	b := setup(t)
	client := b.client(t, nil)
	first, err := client.Insert(t.Context(), ReconcileArgs{}, nil)
	require.NoError(t, err)
	require.False(t, first.UniqueSkippedAsDuplicate)
	second, err := client.Insert(t.Context(), ReconcileArgs{}, nil)
	require.NoError(t, err)
	require.True(t, second.UniqueSkippedAsDuplicate)
	other, err := client.Insert(t.Context(), SyncTicketsArgs{}, nil)
	require.NoError(t, err)
	require.False(t, other.UniqueSkippedAsDuplicate)
}

func TestEachFeedCanBeSwitchedOff(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.Len(t, b.PeriodicJobs(), 3)
	b.cfg.ReconcileInterval, b.cfg.TicketsInterval = 0, 0
	require.Len(t, b.PeriodicJobs(), 1)
	b.cfg.SolutionsInterval = 0
	require.Empty(t, b.PeriodicJobs())
}

func TestConfigNamesEveryFault(t *testing.T) {
	t.Parallel()
	require.Empty(t, DefaultConfig().Validate())
	c := Config{ReconcileInterval: time.Second, TicketsInterval: -1, ReconcileGrace: time.Hour, TicketsOverlap: -1, ReconcileMaxAge: -1}
	faults := c.Validate()
	require.Len(t, faults, 7)
	for _, f := range faults {
		require.Regexp(t, `^feed\.[a-z_]+: must be `, f)
	}
}

func TestNewNamesEveryMissingDependency(t *testing.T) {
	t.Parallel()
	_, err := New(Deps{}, DefaultConfig())
	for _, name := range []string{"DB", "Desk", "Tickets", "Articles", "Receiver", "Tenants", "Clock"} {
		require.ErrorContains(t, err, name)
	}
}
