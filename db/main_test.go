package db_test

import (
	"context"
	"fmt"
	"net/url"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"aiagents/db"
	"aiagents/db/dbtest"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

// connect opens one connection for the length of the test.
func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// run executes statements as the role of the URL.
func run(t *testing.T, url, sql string, args ...any) {
	t.Helper()
	_, err := connect(t, url).Exec(t.Context(), sql, args...)
	require.NoError(t, err, sql)
}

// query reads one column as the role of the URL.
func query[T any](t *testing.T, url, sql string, args ...any) []T {
	t.Helper()
	rows, err := connect(t, url).Query(t.Context(), sql, args...)
	require.NoError(t, err)
	values, err := pgx.CollectRows(rows, pgx.RowTo[T])
	require.NoError(t, err, sql)
	return values
}

// open opens a pool of the given size.
func open(t *testing.T, url string, size int32) *db.DB {
	t.Helper()
	cfg := db.DefaultConfig()
	cfg.MinConns, cfg.MaxConns = 0, size
	d, err := db.Open(t.Context(), url, cfg)
	require.NoError(t, err)
	t.Cleanup(d.Close)
	return d
}

var roleNumber atomic.Int64

// newRole makes a role of the server with the given attributes, and returns its name and how it connects to the database.
func newRole(t *testing.T, d *dbtest.Database, attributes string) (name, connection string) {
	t.Helper()
	name = fmt.Sprintf("role %d's \"own\" 100%%", roleNumber.Add(1))
	quoted := pgx.Identifier{name}.Sanitize()
	run(t, d.AdminURL, `CREATE ROLE `+quoted+` LOGIN PASSWORD 'pw' `+attributes)
	t.Cleanup(func() {
		conn, err := pgx.Connect(context.Background(), d.AdminURL)
		require.NoError(t, err)
		defer func() { _ = conn.Close(context.Background()) }()
		_, err = conn.Exec(context.Background(), `DROP OWNED BY `+quoted+`; DROP ROLE `+quoted)
		require.NoError(t, err)
	})
	u, err := url.Parse(d.AppURL)
	require.NoError(t, err)
	u.User = url.UserPassword(name, "pw")
	return name, u.String()
}
