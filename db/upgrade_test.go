package db_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"aiagents/db"
	"aiagents/db/dbtest"
)

// A deployment repeats a migration Job that failed; nobody is there to clean up by hand.
func TestAFailedMigrationCanBeRepeated(t *testing.T) {
	t.Parallel()
	d := dbtest.NewUnopened(t)
	// The last migration, since golang-migrate leaves goroutines that read ahead behind when one fails before it.
	_, err := db.MigrateDown(t.Context(), d.OwnerURL, 1, quiet)
	require.NoError(t, err)
	// Whatever the last one does, it cannot: its table, view or function is refused.
	run(t, d.AdminURL, `
		CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'it already exists'; END $$;
		CREATE EVENT TRIGGER refuse_schema ON ddl_command_start
			WHEN TAG IN ('CREATE TABLE', 'ALTER TABLE', 'CREATE INDEX', 'DROP INDEX', 'CREATE FUNCTION') EXECUTE FUNCTION refuse()`)
	for range 2 {
		_, err := db.MigrateUp(t.Context(), d.OwnerURL, d.AppURL, quiet)
		require.ErrorContains(t, err, "already exists")
		require.True(t, status(t, d).Behind())
	}
	run(t, d.AdminURL, `DROP EVENT TRIGGER refuse_schema; DROP FUNCTION refuse()`)
	after, err := db.MigrateUp(t.Context(), d.OwnerURL, d.AppURL, quiet)
	require.NoError(t, err)
	require.False(t, after.Behind())

	// The very first one.
	_, err = db.MigrateDown(t.Context(), d.OwnerURL, 0, quiet)
	require.NoError(t, err)
	run(t, d.OwnerURL, `INSERT INTO schema_migrations (version, dirty) VALUES (1, true)`)
	after, err = db.MigrateUp(t.Context(), d.OwnerURL, d.AppURL, quiet)
	require.NoError(t, err)
	require.False(t, after.Behind())
}

// An index that is made concurrently is outside of any transaction, so a failure leaves half of it.
func TestAnIndexThatWasNotFinishedIsMadeAgain(t *testing.T) {
	t.Parallel()
	d := dbtest.NewUnopened(t)
	const index = `SELECT count(*)::int FROM pg_index WHERE indexrelid = 'enhancement_history_failed'::regclass AND indisvalid`
	down := status(t, d).Latest - 12
	_, err := db.MigrateDown(t.Context(), d.OwnerURL, down, quiet)
	require.NoError(t, err)
	// What a build that was cut off leaves: the mark of golang-migrate and an index that is not valid.
	run(t, d.OwnerURL, `CREATE INDEX enhancement_history_failed ON enhancement_history (tenant_id)`)
	run(t, d.AdminURL, `UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'enhancement_history_failed'::regclass`)
	run(t, d.OwnerURL, `UPDATE schema_migrations SET version = 13, dirty = true`)
	after, err := db.MigrateUp(t.Context(), d.OwnerURL, d.AppURL, quiet)
	require.NoError(t, err)
	require.False(t, after.Behind())
	require.Equal(t, []int{1}, query[int](t, d.AdminURL, index))
}

// Going back to an older release runs its `migrate up` on a schema that is newer than it knows.
func TestANewerSchemaStaysAsItIs(t *testing.T) {
	t.Parallel()
	d := dbtest.NewUnopened(t)
	run(t, d.OwnerURL, `UPDATE schema_migrations SET version = version + 2`)
	newer := status(t, d)
	require.False(t, newer.Behind(), "an older program runs on a newer schema")
	after, err := db.MigrateUp(t.Context(), d.OwnerURL, d.AppURL, quiet)
	require.NoError(t, err)
	require.Equal(t, newer, after)

	run(t, d.OwnerURL, `UPDATE schema_migrations SET dirty = true`)
	require.True(t, status(t, d).Behind(), "half a newer schema is none")
	after, err = db.MigrateUp(t.Context(), d.OwnerURL, d.AppURL, quiet)
	require.NoError(t, err)
	require.Equal(t, newer.Current-1, after.Current)
	require.False(t, after.Behind())
}

func status(t *testing.T, d *dbtest.Database) db.SchemaStatus {
	t.Helper()
	s, err := db.ReadSchemaStatus(t.Context(), d.OwnerURL)
	require.NoError(t, err)
	return s
}
