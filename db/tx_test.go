package db_test

import (
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"aiagents/db"
	"aiagents/db/dbtest"
	"aiagents/internal/fault"
)

func TestATenantTransactionNeedsATenant(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	err := d.InTenantTx(t.Context(), "", func(context.Context, pgx.Tx) error {
		t.Error("reached the database without a tenant")
		return nil
	})
	require.ErrorIs(t, err, db.ErrNoTenant)
}

// foreignTransactions lists the sources that set a tenant or begin or commit by themselves.
func foreignTransactions(t *testing.T, root fs.FS) (found []string) {
	t.Helper()
	forbidden := regexp.MustCompile(`app\.current_tenant_id|set_config\(.*\bfalse\b|\.Begin(Tx|Func)?\(|\.Commit\(\w*\)`)
	err := fs.WalkDir(root, ".", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := fs.ReadFile(root, path)
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(source)) {
			if code, _, _ := strings.Cut(line, "//"); forbidden.MatchString(code) {
				found = append(found, path+": "+strings.TrimSpace(line))
			}
		}
		return nil
	})
	require.NoError(t, err)
	return found
}

func TestOnlyOneFileSetsTheTenantOrBeginsATransaction(t *testing.T) {
	t.Parallel()
	allowed := []string{"db/tx.go", "db/guard.go"} // the helper, and the check of what the policies compare
	for _, found := range foreignTransactions(t, os.DirFS("..")) {
		file, _, _ := strings.Cut(found, ":")
		require.Contains(t, allowed, file, found)
	}
	require.Len(t, foreignTransactions(t, fstest.MapFS{"a.go": {Data: []byte("tx, err := pool.Begin(ctx)\ntx.Commit(ctx)\n_ = `SELECT set_config('app.current_tenant_id', $1, false)`\n")}}), 3)
}

// current is the tenant that a connection of the pool carries outside our helper.
func current(t testing.TB, d *db.DB) string {
	t.Helper()
	var tenant string
	err := d.Pool().QueryRow(context.Background(), `SELECT coalesce(current_setting('app.current_tenant_id', true), '')`).Scan(&tenant)
	require.NoError(t, err)
	return tenant
}

func backend(t testing.TB, d *db.DB) int {
	t.Helper()
	var pid int
	require.NoError(t, d.Pool().QueryRow(context.Background(), `SELECT pg_backend_pid()`).Scan(&pid))
	return pid
}

// With a pool of one connection, every use follows the one before it on the same connection.
func TestTheTenantEndsWithItsTransaction(t *testing.T) {
	t.Parallel()
	database := dbtest.NewUnopened(t)
	d := open(t, database.AppURL, 1)
	as := func(ctx context.Context, fn func(ctx context.Context, tx pgx.Tx) error) error {
		return d.InTenantTx(ctx, "acme", func(ctx context.Context, tx pgx.Tx) error {
			var tenant string
			require.NoError(t, tx.QueryRow(ctx, `SELECT current_setting('app.current_tenant_id')`).Scan(&tenant))
			require.Equal(t, "acme", tenant)
			return fn(ctx, tx)
		})
	}
	failed := errors.New("failed")
	for name, use := range map[string]func(){
		"commit": func() {
			require.NoError(t, as(t.Context(), func(context.Context, pgx.Tx) error { return nil }))
		},
		"error": func() {
			require.ErrorIs(t, as(t.Context(), func(context.Context, pgx.Tx) error { return failed }), failed)
		},
		"panic": func() {
			require.Panics(t, func() { _ = as(t.Context(), func(context.Context, pgx.Tx) error { panic("boom") }) })
		},
		"failed statement": func() {
			require.Error(t, as(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
				_, err := tx.Exec(ctx, `SELECT 1/0`)
				return err
			}))
		},
		"cancelled between statements": func() {
			ctx, cancel := context.WithCancel(t.Context())
			require.ErrorIs(t, as(ctx, func(ctx context.Context, _ pgx.Tx) error { cancel(); return ctx.Err() }), context.Canceled)
		},
		"cancelled in a statement": func() {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			defer cancel()
			require.Error(t, as(ctx, func(ctx context.Context, tx pgx.Tx) error {
				_, err := tx.Exec(ctx, `SELECT pg_sleep(60)`)
				return err
			}))
		},
		"killed backend": func() {
			err := as(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
				run(t, database.AdminURL, `SELECT pg_terminate_backend($1)`, int(tx.Conn().PgConn().PID()))
				_, err := tx.Exec(ctx, `SELECT 1`)
				return err
			})
			require.True(t, fault.Is(err, fault.Unavailable), "%v", err)
		},
	} {
		use()
		require.Empty(t, current(t, d), "after %s", name)
		require.NoError(t, d.InTx(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
			var tenant string
			require.NoError(t, tx.QueryRow(ctx, `SELECT coalesce(current_setting('app.current_tenant_id', true), '')`).Scan(&tenant))
			require.Empty(t, tenant, "after %s", name)
			return nil
		}))
	}
	// Shown to fail: a context that is set for the session and not for the transaction is still there.
	_, err := d.Pool().Exec(t.Context(), `SELECT set_config('app.current_tenant_id', 'acme', false)`)
	require.NoError(t, err)
	require.Equal(t, "acme", current(t, d))
}

// A burst of requests that are given up must not empty the pool.
func TestACancelledRequestKeepsItsConnection(t *testing.T) {
	t.Parallel()
	d := open(t, dbtest.NewUnopened(t).AppURL, 1)
	before := backend(t, d)
	for range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		err := d.InTenantTx(ctx, "acme", func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Exec(ctx, `SELECT 1`)
			require.NoError(t, err)
			cancel()
			return ctx.Err()
		})
		require.ErrorIs(t, err, context.Canceled)
	}
	require.Equal(t, before, backend(t, d))
	// Shown to fail: a rollback with the dead context gives the connection up.
	ctx, cancel := context.WithCancel(t.Context())
	tx, err := d.Pool().Begin(ctx)
	require.NoError(t, err)
	cancel()
	_ = tx.Rollback(ctx)
	require.NotEqual(t, before, backend(t, d))
}

// TestNoTenantLeaksThroughThePool mixes tenants, errors, cancellations and killed backends on a pool that is too small for
// them, and looks for a row or a context of somebody else.
func TestNoTenantLeaksThroughThePool(t *testing.T) {
	t.Parallel()
	database := dbtest.NewUnopened(t)
	d := open(t, database.AppURL, 4)
	ids := []string{"acme", "bolt", "coil", "dyne"}
	for _, id := range ids {
		require.NoError(t, d.InTenantTx(t.Context(), id, func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Exec(ctx, `INSERT INTO ticket_history (tenant_id, ticket_id, subject, source) SELECT $1, n::text, $1, 'import' FROM generate_series(1, 5) n`, id)
			return err
		}))
	}
	killer, err := pgx.Connect(t.Context(), database.AdminURL)
	require.NoError(t, err)
	defer func() { _ = killer.Close(context.Background()) }()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	var all sync.WaitGroup
	var cutOff atomic.Int64
	for worker := range 8 {
		random := rand.New(rand.NewPCG(seed, uint64(worker)))
		all.Go(func() {
			for n := range 40 {
				if worker == 0 && n%4 == 0 {
					_, err := killer.Exec(context.Background(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
						WHERE datname = current_database() AND usename = 'aiagents_app' ORDER BY random() LIMIT 1`)
					if err != nil {
						t.Errorf("kill: %v", err)
					}
				}
				if err := useThePool(t, d, ids[random.IntN(len(ids))], random); err != nil {
					cutOff.Add(1)
				}
			}
		})
	}
	all.Wait()
	t.Logf("320 transactions, %d of them cut off", cutOff.Load())
	require.Greater(t, cutOff.Load(), int64(3))
	require.Less(t, cutOff.Load(), int64(320))
}

// useThePool runs one transaction that may be cancelled at any moment, and one without a tenant behind it.
func useThePool(t *testing.T, d *db.DB, id string, random *rand.Rand) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if random.IntN(10) == 0 {
		time.AfterFunc(time.Duration(random.IntN(1500))*time.Microsecond, cancel)
	}
	err := d.InTenantTx(ctx, id, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT DISTINCT subject FROM ticket_history`)
		if err != nil {
			return err
		}
		owners, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		if len(owners) != 1 || owners[0] != id {
			t.Errorf("%s sees rows of %v", id, owners)
		}
		if random.IntN(10) == 0 {
			return errTakeBack
		}
		return nil
	})
	count := 0
	noTenant := d.InTx(context.Background(), func(ctx context.Context, tx pgx.Tx) error {
		return tx.QueryRow(ctx, `SELECT count(*) FROM ticket_history`).Scan(&count)
	})
	if noTenant == nil && count != 0 {
		t.Errorf("%d rows are seen without a tenant", count)
	}
	if errors.Is(err, errTakeBack) {
		return nil
	}
	return err
}

// patience bounds what must not hang.
const patience = 20 * time.Second

func TestAnOutageIsUnavailable(t *testing.T) {
	t.Parallel()
	database := dbtest.NewUnopened(t)
	d := open(t, database.AppURL, 1)
	run(t, database.AdminURL, `ALTER ROLE aiagents_app IN DATABASE `+databaseName(t, database)+` SET statement_timeout = '10ms'`)
	err := d.InTx(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `SET LOCAL statement_timeout = '20ms'; SELECT pg_sleep(10)`)
		return err
	})
	require.True(t, fault.Is(err, fault.Unavailable), "%v", err)
	err = d.InTx(t.Context(), func(context.Context, pgx.Tx) error { return fault.New(fault.Conflict, "mine") })
	require.True(t, fault.Is(err, fault.Conflict), "a fault keeps its kind")
	_, err = db.Open(t.Context(), "postgres://nobody:secret-in-url@127.0.0.1:1/x?sslmode=disable", db.DefaultConfig())
	require.True(t, fault.Is(err, fault.Unavailable), "%v", err)
	require.NotContains(t, err.Error(), "secret-in-url")
	_, err = db.Open(t.Context(), "postgres://u:secret-in-url@[bad", db.DefaultConfig())
	require.True(t, fault.Is(err, fault.Invalid), "%v", err)
	require.NotContains(t, err.Error(), "secret-in-url")
}

func databaseName(t *testing.T, d *dbtest.Database) string {
	t.Helper()
	return query[string](t, d.AdminURL, `SELECT current_database()::text`)[0]
}

func TestABatchIsOneTransactionOfItsTenant(t *testing.T) {
	t.Parallel()
	d := open(t, dbtest.NewUnopened(t).AppURL, 1)
	const insert = `INSERT INTO ticket_history (tenant_id, ticket_id, subject, source) VALUES ($1, $2, 'subject', 'import')`
	add := func(ctx context.Context, as, owner string, ids ...string) error {
		return d.InTenantBatch(ctx, as, func(b *pgx.Batch) {
			for _, id := range ids {
				b.Queue(insert, owner, id)
			}
		})
	}
	count := func(tenant string) (n int) {
		require.NoError(t, d.InTenantBatch(t.Context(), tenant, func(b *pgx.Batch) {
			b.Queue(`SELECT count(*) FROM ticket_history`).QueryRow(func(row pgx.Row) error { return row.Scan(&n) })
		}))
		return n
	}
	require.NoError(t, add(t.Context(), "acme", "acme", "1", "2"))
	require.Equal(t, 2, count("acme"))
	require.Zero(t, count("bolt"), "another tenant's rows")
	require.Empty(t, current(t, d), "the tenant ends with its batch")

	require.True(t, db.HasSQLState(add(t.Context(), "acme", "acme", "3", "1"), db.UniqueViolation))
	require.Equal(t, 2, count("acme"), "a statement that fails undoes those before it")
	require.Error(t, add(t.Context(), "acme", "bolt", "4"), "the policies hold in a batch as well")
	require.Empty(t, current(t, d), "after a failure")

	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	require.Error(t, add(cancelled, "acme", "acme", "5"))
	require.Equal(t, 2, count("acme"))
	require.ErrorIs(t, add(t.Context(), "", "acme", "6"), db.ErrNoTenant)
	mine := errors.New("mine")
	require.ErrorIs(t, d.InTenantBatch(t.Context(), "acme", func(b *pgx.Batch) {
		b.Queue(`SELECT 1`).QueryRow(func(pgx.Row) error { return mine })
	}), mine, "an error of a callback comes out")
}
