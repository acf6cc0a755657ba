package db

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/golang-migrate/migrate/v4"
	"github.com/golang-migrate/migrate/v4/database"
	"github.com/golang-migrate/migrate/v4/database/pgx/v5"
	"github.com/golang-migrate/migrate/v4/source/iofs"
	pgxv5 "github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"

	"aiagents/db/migrations"
	"aiagents/internal/fault"
)

// migrationLock is the key of the advisory lock under which both schemas move. rivermigrate takes none itself.
const migrationLock = 0x61696167656e7473 // "aiagents"

// SchemaStatus says where a database stands against this binary.
type SchemaStatus struct {
	Current      int  `json:"current"`
	Latest       int  `json:"latest"`
	Dirty        bool `json:"dirty"`
	RiverCurrent int  `json:"river_current"`
	RiverLatest  int  `json:"river_latest"`
}

// Behind reports whether the schema is older than the binary. A newer schema is fine: migrations only expand until every
// old binary is gone.
func (s SchemaStatus) Behind() bool {
	return s.Dirty || s.Current < s.Latest || s.RiverCurrent < s.RiverLatest
}

// MigrateUp brings our schema and River's to what this binary needs, then grants the role of appURL exactly what it
// needs. Both happen under one advisory lock, so any number of starts at once is safe.
func MigrateUp(ctx context.Context, ownerURL, appURL string, log *slog.Logger) (SchemaStatus, error) {
	var status SchemaStatus
	err := withMigrationLock(ctx, ownerURL, func(pool *pgxpool.Pool) error {
		m, err := newMigrate(pool)
		if err != nil {
			return err
		}
		defer closeMigrate(m, log)
		if err := up(ctx, m, pool, log); err != nil {
			return err
		}
		if err := addEmbeddings(ctx, pool); err != nil {
			return err
		}
		river, err := rivermigrate.New(riverpgxv5.New(pool), &rivermigrate.Config{Logger: log})
		if err != nil {
			return fmt.Errorf("open river's migrations: %w", err)
		}
		if _, err := river.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
			return fmt.Errorf("migrate river up: %w", err)
		}
		if err := tuneQueue(ctx, pool); err != nil {
			return err
		}
		if err := grant(ctx, pool, appURL); err != nil {
			return err
		}
		if err := checkPolicies(ctx, pool); err != nil {
			return err
		}
		status, err = readStatus(ctx, pool)
		return err
	})
	return status, err
}

// tuneQueue drops two indexes that River makes for searches in the arguments and metadata of jobs. Nothing of ours or of River's
// own searches there, and each of a job's three versions (queued, running, completed) would be written into both.
func tuneQueue(ctx context.Context, pool *pgxpool.Pool) error {
	for _, index := range []string{"river_job_args_index", "river_job_metadata_index"} {
		if _, err := pool.Exec(ctx, `DROP INDEX IF EXISTS `+index); err != nil {
			return fmt.Errorf("drop index %s: %w", index, err)
		}
	}
	return nil
}

// up runs what is missing. A migration that failed can simply be tried again: its file is one implicit transaction, so it left
// nothing behind but the mark that golang-migrate had set, and an unfinished index where it made one concurrently. A schema that is newer than this binary stays as it is: a
// deployment that goes back to an older release runs its `migrate up` too.
func up(ctx context.Context, m *migrate.Migrate, pool *pgxpool.Pool, log *slog.Logger) error {
	version, dirty, err := m.Version()
	if errors.Is(err, migrate.ErrNilVersion) {
		version, err = 0, nil
	}
	if err == nil && dirty {
		log.Warn("the last migration had failed and is tried again", "version", version)
		if err := dropUnfinishedIndexes(ctx, pool); err != nil {
			return err
		}
		version--
		before := int(version)
		if before == 0 {
			before = database.NilVersion
		}
		err = m.Force(before)
	}
	if err == nil && int(version) <= latestMigration() {
		err = m.Up()
	}
	if err != nil && !errors.Is(err, migrate.ErrNoChange) {
		return fmt.Errorf("migrate up: %w", err)
	}
	return nil
}

// dropUnfinishedIndexes removes what CREATE INDEX CONCURRENTLY leaves behind when it fails. Nobody else makes indexes here while
// the migration lock is held.
func dropUnfinishedIndexes(ctx context.Context, pool *pgxpool.Pool) error {
	rows, err := pool.Query(ctx, `
		SELECT c.oid::regclass::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
		WHERE NOT i.indisvalid AND c.relkind = 'i' AND c.relnamespace = 'public'::regnamespace`)
	if err != nil {
		return fmt.Errorf("list unfinished indexes: %w", err)
	}
	names, err := pgxv5.CollectRows(rows, pgxv5.RowTo[string])
	if err != nil {
		return fmt.Errorf("list unfinished indexes: %w", err)
	}
	for _, name := range names {
		// regclass has quoted the name where it must be.
		if _, err := pool.Exec(ctx, "DROP INDEX "+name); err != nil {
			return fmt.Errorf("drop unfinished index %s: %w", name, err)
		}
	}
	return nil
}

// addEmbeddings makes the table of embeddings where pgvector is there, be it since the migration ran. A newer schema may have no
// such function any more.
func addEmbeddings(ctx context.Context, pool *pgxpool.Pool) error {
	var exists bool
	if err := pool.QueryRow(ctx, `SELECT to_regprocedure('add_ticket_embeddings()') IS NOT NULL`).Scan(&exists); err != nil {
		return fmt.Errorf("look for the function that adds embeddings: %w", err)
	}
	if !exists {
		return nil
	}
	if _, err := pool.Exec(ctx, `SELECT add_ticket_embeddings()`); err != nil {
		return fmt.Errorf("add the table of embeddings: %w", err)
	}
	return nil
}

// MigrateDown takes back the given number of our migrations; all of them, and then River's, for steps of 0 or less.
func MigrateDown(ctx context.Context, ownerURL string, steps int, log *slog.Logger) (SchemaStatus, error) {
	var status SchemaStatus
	err := withMigrationLock(ctx, ownerURL, func(pool *pgxpool.Pool) error {
		m, err := newMigrate(pool)
		if err != nil {
			return err
		}
		defer closeMigrate(m, log)
		if steps > 0 {
			err = m.Steps(-steps)
		} else {
			err = m.Down()
		}
		if err != nil && !errors.Is(err, migrate.ErrNoChange) {
			return fmt.Errorf("migrate down: %w", err)
		}
		if steps <= 0 {
			river, err := rivermigrate.New(riverpgxv5.New(pool), &rivermigrate.Config{Logger: log})
			if err != nil {
				return fmt.Errorf("open river's migrations: %w", err)
			}
			if _, err := river.Migrate(ctx, rivermigrate.DirectionDown, &rivermigrate.MigrateOpts{TargetVersion: -1}); err != nil {
				return fmt.Errorf("migrate river down: %w", err)
			}
		}
		status, err = readStatus(ctx, pool)
		return err
	})
	return status, err
}

// ReadSchemaStatus reads the versions with a connection of its own; it needs no more than the app role.
func ReadSchemaStatus(ctx context.Context, url string) (SchemaStatus, error) {
	pool, err := openPlain(ctx, url)
	if err != nil {
		return SchemaStatus{}, err
	}
	defer pool.Close()
	return readStatus(ctx, pool)
}

// SchemaStatus reads the versions through the pool.
func (d *DB) SchemaStatus(ctx context.Context) (SchemaStatus, error) { return readStatus(ctx, d.pool) }

func withMigrationLock(ctx context.Context, url string, fn func(*pgxpool.Pool) error) error {
	pool, err := openPlain(ctx, url)
	if err != nil {
		return err
	}
	defer pool.Close()
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("acquire connection for the migration lock: %w", err)
	}
	defer conn.Release()
	if err := takeMigrationLock(ctx, conn); err != nil {
		return err
	}
	defer func() {
		// Closing the connection frees the lock as well; this only makes it prompt.
		_, _ = conn.Exec(context.WithoutCancel(ctx), `SELECT pg_advisory_unlock($1)`, int64(migrationLock))
	}()
	return fn(pool)
}

// lockPause is how often a waiting migration asks for the lock.
const lockPause = 250 * time.Millisecond

// takeMigrationLock asks again and again rather than waiting in the server: a statement that waits holds a snapshot, and an index
// that is made concurrently waits for every snapshot, so the two would wait for each other.
func takeMigrationLock(ctx context.Context, conn *pgxpool.Conn) error {
	for {
		var taken bool
		if err := conn.QueryRow(ctx, `SELECT pg_try_advisory_lock($1)`, int64(migrationLock)).Scan(&taken); err != nil {
			return fmt.Errorf("take the migration lock: %w", err)
		}
		if taken {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for another migration to end: %w", ctx.Err())
		case <-time.After(lockPause):
		}
	}
}

// openPlain opens a small pool without our limits on statements: a migration may take longer than a query may.
func openPlain(ctx context.Context, url string) (*pgxpool.Pool, error) {
	pc, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fault.New(fault.Invalid, "the database URL cannot be read: expected postgres://user:password@host:port/database")
	}
	pc.MaxConns = 5
	pc.ConnConfig.RuntimeParams["application_name"] = "aiagents migrate"
	pool, err := pgxpool.NewWithConfig(ctx, pc)
	if err != nil {
		return nil, fmt.Errorf("open pool: %w", err)
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, fault.Wrap(fault.Unavailable, err, "the database cannot be reached")
	}
	return pool, nil
}

func newMigrate(pool *pgxpool.Pool) (*migrate.Migrate, error) {
	source, err := iofs.New(migrations.FS, ".")
	if err != nil {
		return nil, fmt.Errorf("read embedded migrations: %w", err)
	}
	driver, err := pgx.WithInstance(stdlib.OpenDBFromPool(pool), &pgx.Config{})
	if err != nil {
		return nil, fmt.Errorf("open migration driver: %w", err)
	}
	m, err := migrate.NewWithInstance("iofs", source, "pgx5", driver)
	if err != nil {
		return nil, fmt.Errorf("open migrations: %w", err)
	}
	return m, nil
}

func closeMigrate(m *migrate.Migrate, log *slog.Logger) {
	if sourceErr, dbErr := m.Close(); sourceErr != nil || dbErr != nil {
		log.Warn("closing migrations", "error", errors.Join(sourceErr, dbErr))
	}
}

func readStatus(ctx context.Context, pool *pgxpool.Pool) (SchemaStatus, error) {
	status := SchemaStatus{Latest: latestMigration()}
	river, err := rivermigrate.New(riverpgxv5.New(pool), nil)
	if err != nil {
		return status, fmt.Errorf("open river's migrations: %w", err)
	}
	if all := river.AllVersions(); len(all) > 0 {
		status.RiverLatest = all[len(all)-1].Version
	}
	err = pool.QueryRow(ctx, `SELECT version, dirty FROM schema_migrations`).Scan(&status.Current, &status.Dirty)
	if err != nil && !errors.Is(err, pgxv5.ErrNoRows) && !HasSQLState(err, undefinedTable) {
		return status, classify(fmt.Errorf("read schema version: %w", err))
	}
	err = pool.QueryRow(ctx, `SELECT coalesce(max(version), 0) FROM river_migration WHERE line = 'main'`).Scan(&status.RiverCurrent)
	if err != nil && !HasSQLState(err, undefinedTable) {
		return status, classify(fmt.Errorf("read river's schema version: %w", err))
	}
	return status, nil
}

const undefinedTable = "42P01"

// latestMigration is the highest number among the embedded files; a test keeps the numbers unique and without gaps.
func latestMigration() int {
	names, err := fs.Glob(migrations.FS, "*.up.sql")
	if err != nil || len(names) == 0 {
		return 0
	}
	number, _, _ := strings.Cut(slices.Max(names), "_")
	n, err := strconv.Atoi(number)
	if err != nil {
		return 0
	}
	return n
}
