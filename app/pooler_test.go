package app

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"aiagents/db"
	"aiagents/db/dbtest"
	"aiagents/internal/secret"
	"aiagents/internal/simulator/openai"
	"aiagents/internal/simulator/servicedesk"
)

// serverConnections is how many connections PgBouncer shares out: fewer than a process would take.
const serverConnections = 3

// pooled starts a real PgBouncer in transaction mode before the database, and returns the app's URL through it. Its parameters
// are refused as its defaults refuse them.
func pooled(t *testing.T, d *dbtest.Database) string {
	t.Helper()
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		if program = "/usr/sbin/pgbouncer"; exec.Command(program, "--version").Run() != nil {
			require.Empty(t, os.Getenv("CI"), "CI installs PgBouncer")
			t.Skip("PgBouncer is not installed")
		}
	}
	app, err := url.Parse(d.AppURL)
	require.NoError(t, err)
	password, _ := app.User.Password()
	dir, err := os.MkdirTemp("", "aiagents-pgbouncer-") // its user must be able to reach it
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o755))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	port := l.Addr().(*net.TCPAddr).Port
	require.NoError(t, l.Close())
	users, ini := filepath.Join(dir, "users.txt"), filepath.Join(dir, "pgbouncer.ini")
	require.NoError(t, os.WriteFile(users, fmt.Appendf(nil, "%q %q\n", app.User.Username(), password), 0o644))
	require.NoError(t, os.WriteFile(ini, fmt.Appendf(nil, `[databases]
* = host=%s port=%s
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
auth_type = scram-sha-256
auth_file = %s
pool_mode = transaction
default_pool_size = %d
`, app.Hostname(), app.Port(), port, users, serverConnections), 0o644))
	cmd := exec.Command(program, ini)
	if os.Getuid() == 0 { // which it refuses to run as
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	app.Host = fmt.Sprintf("127.0.0.1:%d", port)
	require.Eventually(t, func() bool {
		conn, err := net.DialTimeout("tcp", app.Host, time.Second)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	}, patience, 20*time.Millisecond)
	return app.String()
}

// The whole product with the pooler between it and the database, and a direct connection for LISTEN alone.
func TestTheMainJobRunsThroughATransactionPooler(t *testing.T) {
	t.Parallel()
	direct := dbtest.NewUnopened(t)
	through := *direct
	through.AppURL = pooled(t, direct)
	h := newHarness(t, withModel(openai.Options{Respond: answerFromEvidence}), func(h *harness, p *harnessPlan) {
		h.db = &through
		p.environ = append(p.environ, envPrefix+"ENCRYPTION_KEYS="+newKeyText(randomBytes(32)), envPrefix+"DATABASE_LISTEN_URL="+direct.AppURL)
	})
	var all []*testTenant
	ids := map[string]*testTenant{}
	for _, id := range []string{"acme", "bolt"} {
		all = append(all, h.tenant(id, nil, nil))
	}
	for range 8 {
		for _, tt := range all {
			ids[tt.id+"/"+tt.file(servicedesk.Ticket{Subject: "VPN error 809", Description: "Cannot connect from home"})] = tt
		}
	}
	for key, tt := range ids {
		tt.note(key[len(tt.id)+1:])
	}
	for _, tt := range all {
		tt.settled()
	}
	require.Equal(t, len(ids), all[0].desk.Count(servicedesk.NotesAdd)+all[1].desk.Count(servicedesk.NotesAdd), "one note each")

	// Fewer connections of the server than the program has of the pooler: they were shared between transactions.
	const own = `FROM pg_stat_activity WHERE datname = current_database() AND usename = 'aiagents_app'`
	require.LessOrEqual(t, scan[int](h, `SELECT count(*) `+own+` AND query NOT LIKE 'LISTEN%'`), serverConnections)
	require.Equal(t, 2, scan[int](h, `SELECT count(*) `+own+` AND query LIKE 'LISTEN%'`), "River's and the tenants', past the pooler")

	// What another process changed is heard at once, and not after the cache's time.
	code, _, errOut := h.cli("", "tenant", "disable", "acme")
	require.Zero(t, code, errOut)
	heard := time.Now()
	require.Eventually(t, func() bool {
		return all[0].send(all[0].body("999")).status == http.StatusUnauthorized
	}, patience, 10*time.Millisecond)
	require.Less(t, time.Since(heard), h.cfg.Tenant.CacheTTL)
}

// What a transaction sets must not be left on the connection for the next one, and its limits must hold.
func TestTransactionsThroughThePoolerKeepApart(t *testing.T) {
	t.Parallel()
	d := dbtest.NewUnopened(t)
	cfg := db.DefaultConfig()
	cfg.MinConns, cfg.StatementTimeout = 0, 7*time.Second
	through := pooled(t, d)
	_, err := db.Open(t.Context(), through, cfg)
	require.Error(t, err, "without listen_url the pooler refuses the session's parameters, rather than losing notifications silently")

	cfg.ListenURL = secret.New(d.AppURL)
	opened, err := db.Open(t.Context(), through, cfg)
	require.NoError(t, err)
	t.Cleanup(opened.Close)
	show := func(tx pgx.Tx, setting string) (value string) {
		require.NoError(t, tx.QueryRow(t.Context(), `SELECT coalesce(current_setting($1, true), '')`, setting).Scan(&value))
		return value
	}
	for range 2 * serverConnections {
		require.NoError(t, opened.InTenantTx(t.Context(), "acme", func(_ context.Context, tx pgx.Tx) error {
			require.Equal(t, "acme", show(tx, "app.current_tenant_id"))
			require.Equal(t, "7s", show(tx, "statement_timeout"))
			require.Equal(t, "5s", show(tx, "lock_timeout"))
			require.Equal(t, "15s", show(tx, "idle_in_transaction_session_timeout"))
			return nil
		}))
		require.NoError(t, opened.InTx(t.Context(), func(_ context.Context, tx pgx.Tx) error {
			require.Empty(t, show(tx, "app.current_tenant_id"))
			require.Equal(t, "7s", show(tx, "statement_timeout"))
			return nil
		}))
		var tenant string
		require.NoError(t, opened.Pool().QueryRow(t.Context(), `SELECT coalesce(current_setting('app.current_tenant_id', true), '')`).Scan(&tenant))
		require.Empty(t, tenant)
	}
}
