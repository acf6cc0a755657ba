package app

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"aiagents/db"
	"aiagents/modules/enhancement"
)

// patchedMinors are the first minor releases without CVE-2025-8713, by which the planner's statistics show rows that
// row-level security hides.
var patchedMinors = map[int]int{15: 14, 16: 10, 17: 6}

// oldestMajor is the oldest Postgres that the tests run on.
const oldestMajor = 15

// The bounds of a healthy queue: a note is promised within 60 s, and after 300 s something is broken.
const (
	queueLate   = 60 * time.Second
	queueBroken = 300 * time.Second
	maxSkew     = 2 * time.Second
)

// database examines server, connection, schema and roles. It reports whether the rest can be examined.
func (d *doctor) database(ctx context.Context, f *findings, base *database) bool {
	ctx, cancel := context.WithTimeout(ctx, doctorStepTime)
	defer cancel()
	if err := d.server(ctx, f, base); err != nil {
		f.fail("database", "look at the server's log", "%s", explain(err))
		return false
	}
	d.transport(f, base.appURL)
	schema, err := base.SchemaStatus(ctx)
	switch {
	case err != nil:
		f.fail("schema", "run 'aiagents migrate up', which also grants the app role what it needs", "%s", explain(err))
		return false
	case schema.Behind():
		state := fmt.Sprintf("at %d of %d, the queue's at %d of %d", schema.Current, schema.Latest, schema.RiverCurrent, schema.RiverLatest)
		if schema.Dirty {
			state += ", and a migration ended half-way"
		}
		f.fail("schema", "run 'aiagents migrate up' with the owner's role in AI_AGENTS_MIGRATION_DATABASE_URL", "%s", state)
		f.warn("roles, queue", "", "skipped: the schema is older than this program")
		return false
	}
	f.ok("schema", "at %d, the queue's at %d", schema.Current, schema.RiverCurrent)
	if err := base.CheckPolicies(ctx); err != nil {
		f.insecure(d.cfg, "row-level security", "run 'aiagents migrate up'", "%s", explain(err))
	} else {
		f.ok("row-level security", "in force on every table with tenants' rows")
	}
	if err := base.CheckRole(ctx); err != nil {
		f.insecure(d.cfg, "role", "give AI_AGENTS_DATABASE_URL a role of its own and run 'aiagents migrate up' with the owner's", "%s", explain(err))
	} else {
		f.ok("role", "bound by row-level security, owns nothing")
	}
	return true
}

// server reads version and clock. The clock is compared with the middle of the question and its answer, and is given the
// benefit of the way there and back.
func (d *doctor) server(ctx context.Context, f *findings, base *database) error {
	var number int
	var name string
	var theirs time.Time
	var asked, answered time.Time
	err := base.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		asked = d.now()
		err := tx.QueryRow(ctx, `SELECT current_setting('server_version_num')::int, current_setting('server_version'), clock_timestamp()`).
			Scan(&number, &name, &theirs)
		answered = d.now()
		return err
	})
	if err != nil {
		return fmt.Errorf("read server: %w", err)
	}
	f.ok("database", "reachable, answers in %s", answered.Sub(asked).Round(100*time.Microsecond))
	if why := outdated(number); why != "" {
		f.warn("database version", "upgrade the server to the newest minor release", "Postgres %s: %s", name, why)
	} else {
		f.ok("database version", "Postgres %s", name)
	}
	trip := answered.Sub(asked)
	skew := theirs.Sub(asked.Add(trip / 2))
	if skew.Abs() > maxSkew+trip/2 {
		f.warn("clock", "let both machines follow the same time service (NTP)", "the database is %s %s of this machine; %s is allowed",
			skew.Abs().Round(100*time.Millisecond), aheadOrBehind(skew), maxSkew)
	} else {
		f.ok("clock", "within %s of the database", maxSkew)
	}
	return nil
}

func aheadOrBehind(skew time.Duration) string {
	if skew > 0 {
		return "ahead"
	}
	return "behind"
}

// outdated says why a server should be upgraded, by its server_version_num.
func outdated(number int) string {
	major, minor := number/10_000, number%10_000
	if major < oldestMajor {
		return fmt.Sprintf("older than %d, the oldest release that this program is tested with", oldestMajor)
	}
	if least, known := patchedMinors[major]; known && minor < least {
		return fmt.Sprintf("before %d.%d, CVE-2025-8713 lets statistics show rows that row-level security hides", major, least)
	}
	return ""
}

// transport judges how the connection is protected. Development, sockets and this machine itself need nothing.
func (d *doctor) transport(f *findings, url string) {
	const check, next = "database TLS", "set sslmode=verify-full, with sslrootcert where the server's authority is your own, in AI_AGENTS_DATABASE_URL"
	mode, local := tlsMode(url)
	switch {
	case d.cfg.development(), local:
		f.ok(check, "%s; not needed here", mode)
	case mode == "verify-full":
		f.ok(check, "%s", mode)
	case mode == "verify-ca", mode == "require":
		f.warn(check, next, "%s encrypts, and does not prove which server answers; verify-full does", mode)
	case d.cfg.Environment == production:
		f.fail(check, next, "%s allows a connection in the clear", mode)
	default:
		f.warn(check, next, "%s allows a connection in the clear", mode)
	}
}

// tlsMode reads the effective sslmode back from what the driver makes of URL and environment, so that no spelling of it is
// missed. local is set when the server can only be on this machine.
func tlsMode(url string) (mode string, local bool) {
	c, err := pgconn.ParseConfig(url)
	if err != nil { // the pool has parsed it before
		return "unknown", false
	}
	local = isLocal(c.Host)
	clear := c.TLSConfig == nil
	for _, other := range c.Fallbacks {
		local = local && isLocal(other.Host)
		clear = clear || other.TLSConfig == nil
	}
	switch {
	case c.TLSConfig == nil:
		return "disable", local
	case clear:
		return "prefer", local
	case !c.TLSConfig.InsecureSkipVerify:
		return "verify-full", local
	case c.TLSConfig.VerifyPeerCertificate != nil:
		return "verify-ca", local
	}
	return "require", local
}

func isLocal(host string) bool {
	addr, err := netip.ParseAddr(host)
	return strings.HasPrefix(host, "/") || host == "localhost" || err == nil && addr.IsLoopback()
}

// queue examines what waits, what hangs, and who works.
func (d *doctor) queue(ctx context.Context, f *findings, base *db.DB) {
	ctx, cancel := context.WithTimeout(ctx, doctorStepTime)
	defer cancel()
	states, err := readQueue(ctx, base)
	var workers queueWorkers
	if err == nil {
		workers, err = d.readWorkers(ctx, base)
	}
	if err != nil {
		f.fail("queue", "run 'aiagents migrate up', which grants the app role what it needs", "cannot be read: %s", explain(err))
		return
	}
	var waiting queueState
	var all []string
	for _, s := range states {
		if s.State == "available" {
			waiting = s
		}
		all = append(all, fmt.Sprintf("%d %s", s.Depth, s.State))
	}
	age := time.Duration(waiting.Age * float64(time.Second)).Round(time.Second)
	const more = "see docs/runbooks/high-queue-depth.md"
	switch {
	case age > queueBroken:
		f.fail("queue", more, "the oldest job that could run waits for %s (%s)", age, strings.Join(all, ", "))
	case age > queueLate:
		f.warn("queue", more, "the oldest job that could run waits for %s (%s)", age, strings.Join(all, ", "))
	default:
		f.ok("queue", "%s", strings.Join(all, ", "))
	}
	reportWorkers(f, workers, waiting.Depth)
}

func reportWorkers(f *findings, w queueWorkers, waiting int64) {
	const start = "start 'aiagents work' or 'aiagents all'; see docs/runbooks/worker-failures.md"
	if w.Stuck > 0 {
		f.fail("running jobs", "restart the workers; see docs/runbooks/worker-failures.md",
			"%d run for longer than any may: their workers have hung or are gone", w.Stuck)
	}
	switch {
	case w.Alive > 0:
		f.ok("workers", "%d alive", w.Alive)
	case waiting > 0:
		f.fail("workers", start, "none is alive, and %d jobs wait", waiting)
	default:
		f.warn("workers", start, "none is alive")
	}
}

type queueWorkers struct{ Alive, Stuck int }

// readWorkers counts living workers and jobs that should have been ended long ago by their time limit or by River's rescue.
func (d *doctor) readWorkers(ctx context.Context, base *db.DB) (w queueWorkers, err error) {
	kinds := []string{enhancement.EnhanceArgs{}.Kind(), enhancement.LearnArgs{}.Kind()}
	err = base.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		return tx.QueryRow(ctx, `
			SELECT (SELECT count(*) FROM worker_heartbeats WHERE seen_at > now() - $1::interval),
			       (SELECT count(*) FROM river_job WHERE state = 'running' AND kind = ANY($2) AND attempted_at < now() - $3::interval)`,
			silentBeats*d.cfg.Worker.Heartbeat, kinds, d.cfg.Enhancement.JobTimeout+2*rescueMargin).Scan(&w.Alive, &w.Stuck)
	})
	if err != nil {
		return w, fmt.Errorf("read workers: %w", err)
	}
	return w, nil
}
