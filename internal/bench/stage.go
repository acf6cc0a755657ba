package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"aiagents/db/embedded"
	"aiagents/internal/harness"
)

// stage is everything around the product: Postgres, the simulators, the databases that scenarios start from.
type stage struct {
	opts       options
	out        io.Writer
	dir        string
	root       string // the product's module
	pg         *embedded.Server
	postmaster int
	admin      *pgx.Conn     // superuser, database postgres
	watcher    *pgxpool.Pool // the same, for samples taken beside the work
	sims       *remote
	world      *world
	running    []*product
	started    int
	databases  int
	nextTicket int
	begin      time.Time
	playing    string // the scenario
}

// build is one version of the product with the databases that it migrated.
type build struct {
	name, binary string
	commit       string
	bare, full   string // tenants only; tenants with their history
}

// postgresSettings are those of a small dedicated server; everything about durability is left at its safe default.
var postgresSettings = []string{
	"max_connections=300", "shared_buffers=512MB", "max_wal_size=4GB", "checkpoint_timeout=15min",
}

func (s *stage) say(format string, args ...any) {
	fmt.Fprintf(s.out, "%6.1fs  %s\n", time.Since(s.begin).Seconds(), fmt.Sprintf(format, args...))
}

// assemble starts Postgres and the simulators.
func assemble(ctx context.Context, o options, out io.Writer) (s *stage, err error) {
	s = &stage{opts: o, out: out, begin: time.Now()}
	if s.root, err = harness.Root(ctx); err != nil {
		return nil, err
	}
	if s.dir, err = embedded.TempDir(fmt.Sprintf("aiagents-bench-%d", os.Getpid())); err != nil {
		return nil, fmt.Errorf("make folder: %w", err)
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, fmt.Errorf("make folder: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close(context.WithoutCancel(ctx)))
		}
	}()
	s.say("starting Postgres and the simulators of %d tenants", o.tenants)
	logs := []string{"logging_collector=on", "log_destination=jsonlog", "log_filename=server"}
	s.pg, err = embedded.Start(ctx, embedded.Options{DataDir: filepath.Join(s.dir, "postgres"), Settings: append(logs, postgresSettings...)})
	if err != nil {
		return s, fmt.Errorf("start Postgres: %w", err)
	}
	if s.postmaster, err = postmasterOf(s.pg); err != nil {
		return s, err
	}
	if s.admin, err = pgx.Connect(ctx, s.pg.AdminURL()); err != nil {
		return s, fmt.Errorf("connect: %w", err)
	}
	if s.watcher, err = pgxpool.New(ctx, s.pg.AdminURL()); err != nil {
		return s, fmt.Errorf("connect: %w", err)
	}
	s.world = newWorld(o.tenants, o.history, o.seed)
	return s, s.startSimulators(ctx)
}

func postmasterOf(pg *embedded.Server) (int, error) {
	content, err := os.ReadFile(filepath.Join(pg.DataDir(), "cluster", "postmaster.pid"))
	if err != nil {
		return 0, fmt.Errorf("find the server's process: %w", err)
	}
	first, _, _ := strings.Cut(string(content), "\n")
	return strconv.Atoi(strings.TrimSpace(first))
}

func (s *stage) startSimulators(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	s.sims = &remote{}
	desks := s.opts.tenants
	if slices.Contains(s.opts.scenarios, "growth") {
		desks = max(desks, slices.Max(s.opts.tenantCounts))
	}
	args := []string{"simulators", strconv.Itoa(desks), strconv.Itoa(s.opts.history), strconv.FormatUint(s.opts.seed, 10)}
	if s.sims.process, err = launch(s.dir, "simulators", self, args, os.Environ(), &s.sims.addresses); err != nil {
		return err
	}
	return s.sims.setTenants(ctx, s.opts.tenants)
}

// environment is what every process of the product gets; scenarios add to it and say so.
func (s *stage) environment(database string) []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir, "NO_COLOR=1",
		"AI_AGENTS_ENVIRONMENT=development", // the only one that may talk to loopback
		"AI_AGENTS_DATABASE_URL=" + inDatabase(s.pg.AppURL(), database),
		"AI_AGENTS_MIGRATION_DATABASE_URL=" + inDatabase(s.pg.OwnerURL(), database),
		"AI_AGENTS_ENCRYPTION_KEYS=k1:YmVuY2gtYmVuY2gtYmVuY2gtYmVuY2gtYmVuY2gtMDE=",
		"AI_AGENTS_OPENAI_API_KEY=sk-bench", "AI_AGENTS_OPENAI_BASE_URL=" + s.sims.Model + "/v1",
		"AI_AGENTS_HTTP_SHUTDOWN_DELAY=0s", "AI_AGENTS_LOG_LEVEL=info",
	}
}

// unlimited takes the limits off senders: all load comes from one address here.
var unlimited = []string{
	"AI_AGENTS_WEBHOOK_ADDRESS_PER_SECOND=1000000", "AI_AGENTS_WEBHOOK_ADDRESS_BURST=1000000",
	"AI_AGENTS_WEBHOOK_TENANT_PER_SECOND=1000000", "AI_AGENTS_WEBHOOK_TENANT_BURST=1000000",
}

func inDatabase(address, database string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	u.Path = database
	return u.String()
}

// compile builds the product as it is released, static and stripped; or, to be profiled, the same program around which profiles are taken.
func (s *stage) compile(ctx context.Context, name, dir string) (*build, error) {
	if s.opts.profileDir != "" {
		dir = filepath.Join(dir, "internal", "bench", "profiled")
	}
	s.say("building %s", name)
	b := &build{name: name, binary: filepath.Join(s.dir, "aiagents-"+name), commit: harness.Commit(ctx, dir)}
	if err := harness.Build(ctx, dir, b.binary, []string{"CGO_ENABLED=0"}, "-ldflags=-s -w"); err != nil {
		return nil, err
	}
	return b, nil
}

// checkout unpacks a commit beside this tree.
func (s *stage) checkout(ctx context.Context, ref string) (string, error) {
	dir := filepath.Join(s.dir, "src-"+strings.ReplaceAll(ref, "/", "_"))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make folder: %w", err)
	}
	archive := exec.CommandContext(ctx, "git", "-C", s.root, "archive", "--format=tar", "-o", dir+".tar", ref)
	if out, err := archive.CombinedOutput(); err != nil {
		return "", fmt.Errorf("read commit %s: %w: %s", ref, err, out)
	}
	if out, err := exec.CommandContext(ctx, "tar", "-xf", dir+".tar", "-C", dir).CombinedOutput(); err != nil {
		return "", fmt.Errorf("unpack commit %s: %w: %s", ref, err, out)
	}
	return dir, nil
}

// withTenants makes the database that holds the tenants and nothing else, once a build.
func (s *stage) withTenants(ctx context.Context, b *build) (string, error) {
	if b.bare != "" {
		return b.bare, nil
	}
	name := "bare_" + b.name
	if err := s.createDatabase(ctx, name, ""); err != nil {
		return "", err
	}
	s.say("migrating and creating %d tenants for %s", s.opts.tenants, b.name)
	program := s.program(b, name)
	if err := program.Run(ctx, "migrate", "up"); err != nil {
		return "", err
	}
	for n := range s.opts.tenants {
		if err := program.Onboard(ctx, s.onboarded(n), nil); err != nil {
			return "", err
		}
	}
	b.bare = name
	return name, nil
}

func (s *stage) program(b *build, database string) harness.Program {
	return harness.Program{Binary: b.binary, Dir: s.dir, Env: s.environment(database)}
}

func (s *stage) onboarded(n int) harness.Tenant {
	return harness.Tenant{ID: tenantID(n), Name: "Tenant " + strconv.Itoa(n), DeskURL: s.sims.Desks[n], APIKey: s.world.apiKey(n), Secret: s.world.secret(n)}
}

// withHistory makes the database in which every tenant has its past tickets, once a build.
func (s *stage) withHistory(ctx context.Context, b *build) (string, error) {
	if b.full != "" {
		return b.full, nil
	}
	bare, err := s.withTenants(ctx, b)
	if err != nil {
		return "", err
	}
	name := "full_" + b.name
	if err := s.createDatabase(ctx, name, bare); err != nil {
		return "", err
	}
	s.say("importing %d past tickets for each of %d tenants", s.opts.history, s.opts.tenants)
	past := filepath.Join(s.dir, "past.csv")
	if err := os.WriteFile(past, s.world.past(s.opts.history), 0o600); err != nil {
		return "", fmt.Errorf("write past tickets: %w", err)
	}
	for n := range s.opts.tenants {
		if err := s.program(b, name).Run(ctx, "tickets", "import", past, "--tenant", tenantID(n)); err != nil {
			return "", err
		}
	}
	if err := s.exec(ctx, name, "VACUUM ANALYZE"); err != nil {
		return "", err
	}
	b.full = name
	return name, nil
}

// fresh is a copy of a database for one scenario.
func (s *stage) fresh(ctx context.Context, template string) (string, error) {
	s.databases++
	name := "bench_" + strconv.Itoa(s.databases)
	if err := s.createDatabase(ctx, name, template); err != nil {
		return "", err
	}
	_, err := s.admin.Exec(ctx, "CHECKPOINT") // what the copy left to write must not fall into a measurement
	return name, err
}

// copyOf is a fresh copy of a prepared database, until drop is called.
func (s *stage) copyOf(ctx context.Context, b *build, prepare func(context.Context, *build) (string, error)) (name string, drop func(), err error) {
	template, err := prepare(ctx, b)
	if err != nil {
		return "", nil, err
	}
	if name, err = s.fresh(ctx, template); err != nil {
		return "", nil, err
	}
	return name, func() { s.drop(context.WithoutCancel(ctx), name) }, nil
}

// createDatabase makes an empty one, or a copy of template. Names are this program's own.
func (s *stage) createDatabase(ctx context.Context, name, template string) error {
	sql := "CREATE DATABASE " + name + " OWNER aiagents_owner"
	if template != "" {
		sql += " TEMPLATE " + template
	}
	if _, err := s.admin.Exec(ctx, sql); err != nil {
		return fmt.Errorf("create database: %w", err)
	}
	return nil
}

func (s *stage) drop(ctx context.Context, name string) {
	// A copy that stays costs disk space and nothing else; the whole server goes at the end.
	_, _ = s.admin.Exec(ctx, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)")
}

// connect opens a connection of the superuser to a database.
func (s *stage) connect(ctx context.Context, database string) (*pgx.Conn, error) {
	conn, err := pgx.Connect(ctx, inDatabase(s.pg.AdminURL(), database))
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	return conn, nil
}

func (s *stage) exec(ctx context.Context, database, sql string) error {
	conn, err := s.connect(ctx, database)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, sql); err != nil {
		return fmt.Errorf("exec: %w", err)
	}
	return nil
}

// stopRoles ends the product's processes.
func (s *stage) stopRoles() error {
	var err error
	for _, p := range s.running {
		err = errors.Join(err, p.stop())
	}
	s.running = nil
	return err
}

// close ends everything. The folder stays when something went wrong before.
func (s *stage) close(ctx context.Context) error {
	err := s.stopRoles()
	if s.sims != nil {
		_ = s.sims.process.stop() // it has nothing to lose
	}
	if s.admin != nil {
		_ = s.admin.Close(ctx)
	}
	if s.watcher != nil {
		s.watcher.Close()
	}
	if s.pg != nil {
		s.pg.Stop(ctx)
	}
	return err
}
