package dbtest

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"aiagents/db"
)

// patience bounds each act of setting up or tearing down. It is generous:
// many test binaries share the machine.
const patience = 2 * time.Minute

// Database is one test's own database with the schema in place.
type Database struct {
	*db.DB          // as the role of the running program, under row-level security
	AppURL   string // connects as that role
	OwnerURL string // connects as the role that migrates
	AdminURL string // connects as the superuser
}

// running is the state of this test binary.
var running struct {
	hasMain   atomic.Bool // Main was called, so the server will be stopped
	once      sync.Once
	server    *server
	err       error
	databases atomic.Int64
}

func theServer() (*server, error) {
	running.once.Do(func() { running.server, running.err = startServer() })
	return running.server, running.err
}

// New returns a database of the test's own, closed and dropped when the test ends.
func New(t testing.TB) *Database {
	t.Helper()
	d := NewUnopened(t)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cfg := db.DefaultConfig()
	cfg.MinConns, cfg.MaxConns = 0, 10
	opened, err := db.Open(ctx, d.AppURL, cfg)
	require.NoError(t, err)
	t.Cleanup(opened.Close)
	d.DB = opened
	return d
}

// NewUnopened is New without a pool, for tests that start whole processes on the database.
func NewUnopened(t testing.TB) *Database {
	t.Helper()
	return create(t, "TEMPLATE aiagents")
}

// NewEmpty is NewUnopened without the schema, for tests of the migrations.
func NewEmpty(t testing.TB) *Database {
	t.Helper()
	return create(t, "TEMPLATE template0")
}

// NewFrom is NewUnopened with the content of another test's database, as a backup of it restored under another name would
// have. Nobody may be connected to that one.
func NewFrom(t testing.TB, d *Database) *Database {
	t.Helper()
	u, err := url.Parse(d.AppURL)
	require.NoError(t, err)
	return create(t, "TEMPLATE "+strings.TrimPrefix(u.Path, "/"))
}

// DataDir returns a folder for an embedded server, removed when the test ends.
// The folders of t.TempDir are closed to the user that root's servers run as.
func DataDir(t testing.TB) string {
	t.Helper()
	base, err := scratch()
	require.NoError(t, err)
	dir, err := os.MkdirTemp(base, "data-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return dir
}

func create(t testing.TB, from string) *Database {
	t.Helper()
	if !running.hasMain.Load() {
		t.Fatal("dbtest: this package's TestMain must be func TestMain(m *testing.M) { dbtest.Main(m) }, which stops the test server")
	}
	s, err := theServer()
	require.NoError(t, err, "the tests need a Postgres server")
	name := fmt.Sprintf("test_%d", running.databases.Add(1))
	require.NoError(t, s.admin(`CREATE DATABASE `+name+` OWNER aiagents_owner STRATEGY FILE_COPY `+from))
	t.Cleanup(func() {
		require.NoError(t, s.admin(`DROP DATABASE `+name+` WITH (FORCE)`))
	})
	return &Database{
		AppURL:   onDatabase(s.AppURL(), name),
		OwnerURL: onDatabase(s.OwnerURL(), name),
		AdminURL: onDatabase(s.AdminURL(), name),
	}
}

// Main runs a package's tests, stops the server, and fails when a goroutine is
// left over. It does not return. Packages call it from TestMain.
func Main(m *testing.M, options ...goleak.Option) {
	running.hasMain.Store(true)
	code := m.Run()
	if running.server != nil {
		running.server.stop()
	}
	if code == 0 {
		if err := goleak.Find(options...); err != nil {
			fmt.Fprintf(os.Stderr, "goleak: %v\n", err)
			code = 1
		}
	}
	os.Exit(code)
}

// admin runs one statement on a connection of its own: CREATE and DROP DATABASE
// want no transaction and the tests run in parallel.
func (s *server) admin(statement string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.AdminURL())
	if err != nil {
		return fmt.Errorf("connect to the test server: %w", err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, statement); err != nil {
		return fmt.Errorf("%s: %w", statement, err)
	}
	return nil
}

func onDatabase(connection, name string) string {
	u, err := url.Parse(connection)
	if err != nil {
		panic(err) // made by this repository
	}
	u.Path = name
	return u.String()
}
