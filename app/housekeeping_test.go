package app

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"aiagents/app/housekeeping"
	"aiagents/internal/simulator/openai"
	"aiagents/internal/simulator/servicedesk"
	"aiagents/modules/enhancement/systems"
	"aiagents/modules/tenant"
)

// Queued jobs outlive deploys: the kinds of the periodic ones must never change.
func TestTheKindsOfPeriodicJobsAreGolden(t *testing.T) {
	t.Parallel()
	h := newHarness(t, withRole("serve"))
	require.Equal(t, []string{
		"recover_enhancements", "reconcile_tickets", "sweep_notes", "sync_tickets", "sync_solutions", "sync_assets", "retain_history", "expire_tickets",
		"purge_inventory", "tidy_tenants", "check_finished_jobs", "canary",
	}, h.p.system.housekeeping.Names())
}

// task is the status of one task as the command line prints it.
func (h *harness) task(name string) housekeeping.Status {
	h.t.Helper()
	code, out, errOut := h.cli("", "housekeeping", "list", "--output", "json")
	require.Zero(h.t, code, errOut)
	var list []housekeeping.Status
	require.NoError(h.t, json.Unmarshal([]byte(out), &list))
	for _, s := range list {
		if s.Task == name {
			return s
		}
	}
	require.Fail(h.t, "no task "+name)
	return housekeeping.Status{}
}

func (h *harness) runTask(args ...string) housekeeping.Run {
	h.t.Helper()
	code, out, errOut := h.cli("", append([]string{"housekeeping", "run", "--output", "json"}, args...)...)
	require.Zero(h.t, code, errOut)
	var run housekeeping.Run
	require.NoError(h.t, json.Unmarshal([]byte(out), &run))
	return run
}

func TestEveryTaskRunsByItselfAndIsVisible(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.tenant("acme", nil, nil)
	require.Eventually(t, func() bool {
		return scan[int](h, `SELECT count(DISTINCT task) FROM housekeeping_runs WHERE result = 'ok'`) == len(h.p.system.housekeeping.Names())-1
	}, patience, 20*time.Millisecond)
	code, out, errOut := h.cli("", "housekeeping", "list")
	require.Zero(t, code, errOut)
	for _, name := range h.p.system.housekeeping.Names() {
		if name != canaryTask {
			require.Regexp(t, `(?m)^`+name+` +ok +20`, out)
		}
	}
	require.Regexp(t, `(?m)^canary +off +- `, out)
	metrics := h.metrics()
	require.Contains(t, metrics, `aiagents_housekeeping_last_run_failed{task="retain_history"} 0`)
	require.Contains(t, metrics, `aiagents_housekeeping_last_success_timestamp_seconds{task="retain_history"} `)
	require.Contains(t, metrics, `aiagents_housekeeping_interval_seconds{task="retain_history"} 3600`)
	h.doctor(t).require(t, findingOK, "housekeeping", "", "11 tasks run as they should; switched off: canary")
}

// What is past its retention goes, of each tenant by its own rule; the dry run says the same and changes nothing.
func TestRetentionsRemoveWhatTheirDryRunsCounted(t *testing.T) {
	t.Parallel()
	h := newHarness(t, withRole("serve"))
	acme := h.tenant("acme", nil, func(in *tenant.CreateInput) {
		p := tenant.DefaultPreferences()
		p.TicketHistoryDays = 365
		in.Preferences = &p
	})
	beta := h.tenant("beta", nil, nil)
	old := func(tt *testTenant, n int) {
		for i := range n {
			require.Equal(t, 202, tt.send(tt.body(fmt.Sprint(tt.id, i))).status)
		}
		tt.teach("900", "Badge printer ribbon error 112", "Cleaned the ribbon sensor behind the cartridge.")
		_, err := h.p.system.inventory.Import(t.Context(), tt.id, strings.NewReader("ip,hostname\n10.0.0.1,gone\n10.0.0.2,here\n"), systems.ImportOptions{}, nil)
		require.NoError(t, err)
	}
	old(acme, 3)
	old(beta, 2)
	scanAll[int](h, `UPDATE enhancement_history SET status = 'completed', completed_at = now(), created_at = now() - interval '91 days' WHERE ticket_id NOT LIKE '%0'`)
	scanAll[int](h, `INSERT INTO model_calls (tenant_id, enhancement_id, model, outcome) SELECT tenant_id, id, 'm', 'ok' FROM enhancement_history`)
	scanAll[int](h, `UPDATE ticket_history SET resolved_date = now() - interval '2 years'`)
	scanAll[int](h, `UPDATE system_inventory SET deleted_at = now() - interval '181 days' WHERE hostname = 'gone'`)
	scanAll[int](h, `UPDATE audit_log SET at = at - interval '91 days'`)

	counts := func() []int {
		return scanAll[int](h, `SELECT count(*) FROM enhancement_history UNION ALL SELECT count(*) FROM model_calls
			UNION ALL SELECT count(*) FROM ticket_history UNION ALL SELECT count(*) FROM system_inventory UNION ALL SELECT count(*) FROM audit_log`)
	}
	before := counts()
	want := map[string]housekeeping.Rows{
		"retain_history": {"acme": 2, "beta": 1}, "expire_tickets": {"acme": 1}, "purge_inventory": {"acme": 1, "beta": 1},
		"tidy_tenants": {"acme": 1, "beta": 1},
	}
	for name, rows := range want {
		run := h.runTask(name, "--dry-run")
		require.True(t, run.DryRun)
		require.Equal(t, rows, run.ByTenant, name)
	}
	require.Equal(t, before, counts(), "a dry run changes nothing")
	require.Empty(t, h.task("retain_history").LastResult, "and is no run")
	for name, rows := range want {
		require.Equal(t, rows, h.runTask(name).ByTenant, name)
		require.Equal(t, housekeeping.ResultOK, h.task(name).LastResult)
		require.Empty(t, h.runTask(name).ByTenant, "nothing is left to remove")
	}
	after := counts()
	require.Equal(t, []int{4, 4, 1, 2}, after[:4])
	require.Equal(t, before[4]-2, after[4])

	code, out, _ := h.cli("", "housekeeping", "run", "retain_history", "--dry-run")
	require.Zero(t, code)
	require.Regexp(t, `\(all\) +0 +would remove`, out)
	code, _, errOut := h.cli("", "housekeeping", "run", "sweep_notes", "--dry-run")
	require.Equal(t, exitFailed, code)
	require.Contains(t, errOut, "no dry run")
	code, _, _ = h.cli("", "housekeeping", "run")
	require.Equal(t, exitUsage, code)
}

func TestAnOverdueTaskAndAFailedOneAreWarnedOf(t *testing.T) {
	t.Parallel()
	h := newHarness(t, withRole("serve"))
	require.Equal(t, housekeeping.ResultOK, h.runTask("retain_history").Result)
	scanAll[int](h, `UPDATE housekeeping_runs SET started_at = started_at - interval '3 hours', finished_at = finished_at - interval '3 hours'`)
	scanAll[int](h, `INSERT INTO river_job (state, kind, args, max_attempts, queue, finalized_at, attempt)
		VALUES ('completed', 'x', '{}', 1, 'default', now() - interval '26 hours', 1), ('discarded', 'x', '{}', 1, 'default', now() - interval '26 hours', 1)`)
	code, _, errOut := h.cli("", "housekeeping", "run", "check_finished_jobs")
	require.Equal(t, exitFailed, code)
	require.Contains(t, errOut, "1 finished jobs", "a discarded one stays for a week")
	e := h.doctor(t)
	e.require(t, findingWarn, "housekeeping", "", "overdue", "runbooks/housekeeping.md")
	require.Contains(t, e.text, "retain_history is overdue")
	require.Contains(t, e.text, "check_finished_jobs failed")
	require.Regexp(t, `retain_history +overdue`, func() string { _, out, _ := h.cli("", "housekeeping", "list"); return out }())
}

// A worker that stops does not wait for a desk that takes its time: its task goes to another worker.
func TestAStoppingWorkerDoesNotWaitForItsTasks(t *testing.T) {
	t.Parallel()
	slow := (&harness{t: t}).newDesk(servicedesk.Options{})
	slow.AddFault(servicedesk.Fault{Kind: servicedesk.Stall, Operation: servicedesk.RequestsList})
	first := newHarness(t, withRole("serve"))
	first.tenant("acme", slow, nil)
	h := newHarness(t, withRole("work"), withDatabase(first), withConfig(func(c *Config) {
		c.Notifier.ReadTimeout, c.Worker.SoftStop = time.Hour, time.Hour
	}))
	require.Eventually(t, func() bool { return slow.Count(servicedesk.RequestsList) > 0 }, patience, 10*time.Millisecond)
	h.stop()
	require.Positive(t, scan[int](h, `SELECT count(*) FROM housekeeping_runs WHERE result = 'stopped'`))
	require.Zero(t, scan[int](h, `SELECT count(*) FROM river_job WHERE state = 'running'`))
	require.Positive(t, scan[int](h, `SELECT count(*) FROM river_job WHERE state IN ('available', 'scheduled') AND queue = 'housekeeping'`))
}

// The canary takes the whole way through the real code, costs no model call, and is in no customer's numbers.
func TestTheCanaryTakesTheWholeWayAndIsInNobodysNumbers(t *testing.T) {
	t.Parallel()
	h := newHarness(t, withModel(openai.Options{Respond: repeatEvidence}), withConfig(func(c *Config) { c.Housekeeping.Canary = true }))
	h.tenant("acme", nil, nil)
	require.Eventually(t, func() bool { return h.task(canaryTask).LastResult != "" }, patience, 20*time.Millisecond)
	require.Equal(t, housekeeping.ResultOK, h.task(canaryTask).LastResult, h.task(canaryTask).LastError)
	require.Equal(t, []string{tenant.Canary + " completed facts_only posted"}, scanAll[string](h, `SELECT tenant_id || ' ' || status || ' ' || outcome || ' ' || stage FROM enhancement_history`))
	require.Equal(t, 1, scan[int](h, `SELECT count(*) FROM note_posts WHERE state = 'posted' AND posts = 1`))
	require.Empty(t, h.model.Requests(), "no model is asked")

	require.Eventually(t, func() bool { return strings.Contains(h.metrics(), "aiagents_canary_last_success_timestamp_seconds 1") }, patience, 100*time.Millisecond)
	metrics := h.metrics()
	require.Contains(t, metrics, "aiagents_canary_duration_seconds ")
	for _, series := range []string{
		`aiagents_enhancements_total{outcome="facts_only"} 1`, `aiagents_webhook_requests_total{answer="accepted",endpoint="event"} 1`,
		`aiagents_note_posts_total{outcome="posted"} 1`, `aiagents_enhancement_duration_seconds_count{outcome="facts_only"} 1`,
	} {
		require.NotContains(t, metrics, series)
	}
	code, out, errOut := h.cli("", "tenant", "list")
	require.Zero(t, code, errOut)
	require.NotContains(t, out, tenant.Canary)

	scanAll[int](h, `UPDATE enhancement_history SET created_at = created_at - interval '2 hours'`)
	require.Equal(t, housekeeping.ResultOK, h.runTask(canaryTask).Result)
	require.Equal(t, 1, scan[int](h, `SELECT count(*) FROM enhancement_history`), "its own history is short")
}

func TestACanaryWithoutItsNoteIsAFailure(t *testing.T) {
	t.Parallel()
	h := newHarness(t, withRole("serve"), withConfig(func(c *Config) { c.Housekeeping.Canary = true }))
	h.p.system.canary.patience = 200 * time.Millisecond
	run, err := h.p.system.housekeeping.Run(t.Context(), canaryTask, false)
	require.NoError(t, err)
	require.Equal(t, housekeeping.ResultFailed, run.Result)
	require.Equal(t, `no note within 200ms: the run is at the stage "received"`, run.Error)
	metrics := h.metrics()
	require.Contains(t, metrics, `aiagents_housekeeping_last_run_failed{task="canary"} 1`)
	require.NotContains(t, metrics, "aiagents_canary_last_success_timestamp_seconds ")

	_, err = h.p.system.tenants.Disable(t.Context(), "test", tenant.Canary)
	require.NoError(t, err)
	run, err = h.p.system.housekeeping.Run(t.Context(), canaryTask, false)
	require.NoError(t, err)
	require.Contains(t, run.Error, "answered with 401", "its webhook is verified like any other")
}
