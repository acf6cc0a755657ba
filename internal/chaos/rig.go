package main

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"aiagents/db/embedded"
	"aiagents/internal/harness"
)

// The processes of the product.
const (
	serveProcesses = 2
	workProcesses  = 3
)

// rig is everything that runs: the product's processes, its neighbours, and the record of what was done to them.
type rig struct {
	opts     options
	out      io.Writer
	dir      string
	binary   string
	commit   string
	points   string // folder in which crash points are armed
	pg       *postgres
	model    *model
	tenants  []*tenant
	serve    []*slot
	work     []*slot
	sender   *sender
	timeline timeline
	keys     string
	modelKey string
	tickets  int // drafted so far, over all tenants

	mu    sync.Mutex
	known map[ticketKey]bool // tickets filed so far
	fresh []*filing          // those of this scenario

	supervisors sync.WaitGroup
	autopsies   sync.WaitGroup
	cancel      context.CancelFunc
}

func (r *rig) say(format string, args ...any) {
	fmt.Fprintf(r.out, "%s  %s\n", time.Now().Format("15:04:05"), fmt.Sprintf(format, args...))
}

// assemble builds the binary, starts everything and waits until every process is ready.
func assemble(ctx context.Context, o options, out io.Writer) (r *rig, err error) {
	r = &rig{opts: o, out: out, known: map[ticketKey]bool{}, modelKey: "sk-chaos-" + harness.Word("", int(o.seed%1e9), 30)}
	r.keys = "k1:" + "Y2hhb3MtY2hhb3MtY2hhb3MtY2hhb3MtY2hhb3MtMDE="
	if r.dir, err = embedded.TempDir(fmt.Sprintf("aiagents-chaos-%d", os.Getpid())); err != nil {
		return nil, fmt.Errorf("make folder: %w", err)
	}
	defer func() {
		if err != nil {
			r.close(context.WithoutCancel(ctx))
		}
	}()
	r.points = filepath.Join(r.dir, "points")
	for _, sub := range []string{"points", "logs", "journals"} {
		if err := os.MkdirAll(filepath.Join(r.dir, sub), 0o700); err != nil {
			return r, fmt.Errorf("make folder: %w", err)
		}
	}
	if err := r.build(ctx); err != nil {
		return r, err
	}
	r.say("starting Postgres, %d service desks and the model", o.tenants)
	pgDir := filepath.Join(r.dir, "postgres")
	if small := os.Getenv(smallDiskVariable); small != "" {
		pgDir = filepath.Join(small, "postgres")
	}
	if r.pg, err = startPostgres(ctx, pgDir); err != nil {
		return r, err
	}
	if r.model, err = startModel(o); err != nil {
		return r, err
	}
	for n := range o.tenants {
		t, err := startTenant(r.dir, n, o.seed)
		if err != nil {
			return r, err
		}
		r.tenants = append(r.tenants, t)
	}
	if err := r.prepare(ctx); err != nil {
		return r, err
	}
	return r, r.startProcesses(ctx)
}

// build compiles the product with its crash points, unless a binary was given.
func (r *rig) build(ctx context.Context) error {
	r.binary = r.opts.binary
	dir, err := harness.Root(ctx)
	if err != nil {
		return err
	}
	r.commit = harness.Commit(ctx, dir)
	if r.binary != "" {
		r.binary, err = filepath.Abs(r.binary)
		return err
	}
	r.say("building the binary with crash points")
	r.binary = filepath.Join(r.dir, "aiagents")
	flags := []string{"-tags", "chaos"}
	if r.opts.race {
		flags = append(flags, "-race")
	}
	if slices.Contains(r.opts.scenarios, skewScenario) {
		overlay, err := movableClock(ctx, r.dir)
		if err != nil {
			return err
		}
		flags = append(flags, "-overlay", overlay)
	}
	return harness.Build(ctx, dir, r.binary, nil, flags...)
}

// momentsSQL keeps every claim of a run, and the storing of the model's answer, with their times: the first measures
// recovery to the millisecond, the second tells a call that had to be paid again from one that had not.
const momentsSQL = `
CREATE SCHEMA chaos;
CREATE TABLE chaos.moments (what text, id uuid, at timestamptz);
CREATE FUNCTION chaos.remember() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
  INSERT INTO chaos.moments VALUES (TG_ARGV[0], NEW.id, clock_timestamp());
  RETURN NULL;
END $$;
CREATE TRIGGER chaos_claimed AFTER UPDATE OF epoch ON enhancement_history
  FOR EACH ROW WHEN (NEW.epoch > OLD.epoch) EXECUTE FUNCTION chaos.remember('claimed');
CREATE TRIGGER chaos_stored AFTER UPDATE OF llm_output ON enhancement_history
  FOR EACH ROW WHEN (NEW.llm_output IS NOT NULL) EXECUTE FUNCTION chaos.remember('stored');`

// prepare migrates and onboards the tenants through the real command line.
func (r *rig) prepare(ctx context.Context) error {
	program := harness.Program{Binary: r.binary, Dir: r.dir, Env: append(r.processEnv("command"),
		"AI_AGENTS_DATABASE_URL="+r.pg.server().AppURL(), "AI_AGENTS_MIGRATION_DATABASE_URL="+r.pg.server().OwnerURL())}
	if err := program.Run(ctx, "migrate", "up"); err != nil {
		return err
	}
	if err := r.pg.exec(ctx, momentsSQL); err != nil {
		return fmt.Errorf("watch runs: %w", err)
	}
	for _, t := range r.tenants {
		if err := program.Onboard(ctx, harness.Tenant{
			ID: t.id, Name: "Chaos " + t.id, DeskURL: "http://" + t.link.addr(), APIKey: t.apiKey, Secret: t.secret,
		}, pastTickets(t)); err != nil {
			return err
		}
	}
	return nil
}

func (r *rig) processEnv(process string) []string {
	env := []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + r.dir, "NO_COLOR=1",
		"AI_AGENTS_DATABASE_URL=" + r.pg.linked(r.pg.server().AppURL()),
		"AI_AGENTS_ENCRYPTION_KEYS=" + r.keys, "AI_AGENTS_OPENAI_API_KEY=" + r.modelKey,
		"AI_AGENTS_OPENAI_BASE_URL=" + r.model.url(process), "AI_AGENTS_CRASHPOINT_DIR=" + r.points,
		"GORACE=halt_on_error=0 exitcode=66", "GOMAXPROCS=2",
	}
	return append(env, r.opts.environment()...)
}

func (r *rig) startProcesses(ctx context.Context) error {
	var running context.Context
	running, r.cancel = context.WithCancel(context.WithoutCancel(ctx))
	for n := range serveProcesses + workProcesses {
		role, into := "serve", &r.serve
		if n >= serveProcesses {
			role, into = "work", &r.work
		}
		s, err := newSlot(r, role, len(*into)+1)
		if err != nil {
			return err
		}
		*into = append(*into, s)
		r.supervisors.Go(func() { s.supervise(running) })
	}
	var err error
	r.sender, err = newSender(filepath.Join(r.dir, "journals", "accepted.jsonl"), r.serve, r.opts.dice("sender"))
	if err != nil {
		return err
	}
	return r.allReady(ctx, time.Minute)
}

// filed remembers a ticket that is on its desk now.
func (r *rig) filed(f *filing) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.known[ticketKey{f.tenant.id, f.id}] = true
	r.fresh = append(r.fresh, f)
}

func (r *rig) slots() []*slot { return append(append([]*slot(nil), r.serve...), r.work...) }

func (r *rig) allReady(ctx context.Context, limit time.Duration) error {
	for _, s := range r.slots() {
		if err := harness.WaitFor(ctx, limit, s.name+" is ready", s.ready); err != nil {
			return err
		}
	}
	return nil
}

// autopsy finds the runs that a dead worker leaves behind.
func (r *rig) autopsy(pid int, at time.Time) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	type left struct{ Tenant, ID string }
	found, err := query[left](ctx, r.pg, `
		SELECT h.tenant_id AS tenant, h.id::text AS id
		FROM river_job j
		JOIN enhancement_history h ON h.tenant_id = j.args->>'tenant_id' AND h.id = (j.args->>'enhancement_id')::uuid
		WHERE j.kind = 'enhance_ticket' AND j.state = 'running' AND h.status = 'pending'
		  AND j.attempted_by[array_upper(j.attempted_by, 1)] LIKE '%-' || $1::text || '-%'`, fmt.Sprint(pid))
	if err != nil {
		r.timeline.problem(fmt.Sprintf("the jobs of a dead worker could not be read: %v", err))
		return
	}
	jobs := make([]interruption, len(found))
	for i, f := range found {
		jobs[i] = interruption{tenant: f.Tenant, id: f.ID, at: at}
	}
	r.timeline.interrupted(jobs)
}

// secrets are the words that must stand in no log.
func (r *rig) secrets() map[string]string {
	words := map[string]string{"the encryption key": strings.TrimPrefix(r.keys, "k1:"), "the model's key": r.modelKey}
	for _, t := range r.tenants {
		words["the webhook secret of "+t.id] = t.secret
		words["the API key of "+t.id] = t.apiKey
	}
	for role, address := range map[string]string{"app": r.pg.server().AppURL(), "owner": r.pg.server().OwnerURL()} {
		if u, err := url.Parse(address); err == nil {
			if password, ok := u.User.Password(); ok {
				words["the database password of role "+role] = password
			}
		}
	}
	return words
}

// stopProcesses ends the product's processes in order; what does not stop in order is a problem.
func (r *rig) stopProcesses() {
	var all sync.WaitGroup
	for _, s := range r.slots() {
		all.Go(s.stop)
	}
	all.Wait()
}

func (r *rig) close(ctx context.Context) {
	if r.cancel != nil {
		r.cancel()
		r.stopProcesses()
	}
	r.supervisors.Wait()
	r.autopsies.Wait()
	if r.sender != nil {
		r.sender.close()
	}
	if r.model != nil {
		r.model.close()
	}
	for _, t := range r.tenants {
		t.close()
	}
	if r.pg != nil {
		r.pg.stop(ctx)
	}
}
