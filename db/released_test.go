package db_test

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"aiagents/db"
	"aiagents/db/dbtest"
	"aiagents/db/migrations"
)

// release is what db/migrations/RELEASED says about the release before this tree.
type release struct {
	name, commit string
	last         int               // number of its last migration
	sums         map[string]string // sha256 of each of its files
}

func readRelease(t *testing.T) (r release) {
	t.Helper()
	text, err := os.ReadFile("migrations/RELEASED")
	require.NoError(t, err)
	r.sums = map[string]string{}
	for line := range strings.Lines(string(text)) {
		if head := regexp.MustCompile(`^# (\d+\.\d+\.\d+) ([0-9a-f]{40}) (\d+)$`).FindStringSubmatch(strings.TrimSpace(line)); head != nil {
			r.name, r.commit = head[1], head[2]
			r.last, err = strconv.Atoi(head[3])
			require.NoError(t, err)
		} else if sum, file, ok := strings.Cut(strings.TrimSpace(line), "  "); ok && !strings.HasPrefix(line, "#") {
			r.sums[file] = sum
		}
	}
	require.NotEmpty(t, r.name)
	return r
}

// edited names released files that are not as they were released, among files read from a tree.
func (r release) edited(read func(string) ([]byte, error)) (faults []string) {
	for file, want := range r.sums {
		content, err := read(file)
		if sum := sha256.Sum256(content); err != nil || hex.EncodeToString(sum[:]) != want {
			faults = append(faults, file)
		}
	}
	return faults
}

// An installation that has run a file will not run it again: an edit reaches new installations only.
func TestReleasedMigrationsAreNeverEdited(t *testing.T) {
	t.Parallel()
	r := readRelease(t)
	read := func(file string) ([]byte, error) { return fs.ReadFile(migrations.FS, file) }
	require.Empty(t, r.edited(read), "released with %s; write a new migration instead", r.name)
	require.Len(t, r.sums, 2*r.last, "every file up to the last")
	require.Equal(t, []string{"0003_sources.up.sql"}, r.edited(func(file string) ([]byte, error) {
		content, err := read(file)
		if file == "0003_sources.up.sql" {
			content = append(content, ' ')
		}
		return content, err
	}))
}

// catalogueSQL lists what programs rely on, as name and definition. A row that is missing later, or differs, is a contraction
// unless its kind allows it.
const catalogueSQL = `
	SELECT 'table', c.relname::text, '' FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v')
	UNION ALL SELECT 'storage of', c.relname::text, c.relfilenode::text FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'
	UNION ALL SELECT 'column', c.relname || '.' || a.attname, format_type(a.atttypid, a.atttypmod)
	          || CASE WHEN a.attnotnull THEN ' not null' ELSE '' END
	          || CASE WHEN a.attidentity <> '' OR a.attgenerated <> '' OR d.oid IS NOT NULL THEN ' default' ELSE '' END
	  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
	  LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
	  WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v')
	UNION ALL SELECT 'constraint', conrelid::regclass || '.' || conname, pg_get_constraintdef(oid) FROM pg_constraint
	  WHERE connamespace = 'public'::regnamespace AND conrelid <> 0 AND contype <> 'n'
	UNION ALL SELECT CASE WHEN i.indisunique THEN 'unique index' ELSE 'index' END, i.indrelid::regclass || '.' || c.relname, pg_get_indexdef(i.indexrelid)
	  FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE c.relnamespace = 'public'::regnamespace
	UNION ALL SELECT 'policy', tablename || '.' || policyname, concat_ws(' ', permissive, cmd, roles, qual, with_check) FROM pg_policies WHERE schemaname = 'public'
	UNION ALL SELECT 'trigger', tgrelid::regclass || '.' || tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
	UNION ALL SELECT 'function', p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')', pg_get_function_result(p.oid)
	  FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace
	ORDER BY 1, 2`

type thing struct{ kind, name string }

// table is the table that a column, constraint, index, policy or trigger belongs to.
func (o thing) table() string {
	table, _, _ := strings.Cut(o.name, ".")
	return table
}

func catalogue(t *testing.T, url string) map[thing]string {
	t.Helper()
	rows, err := connect(t, url).Query(t.Context(), catalogueSQL)
	require.NoError(t, err)
	all := map[thing]string{}
	for rows.Next() {
		var o thing
		var definition string
		require.NoError(t, rows.Scan(&o.kind, &o.name, &definition))
		all[o] = definition
	}
	require.NoError(t, rows.Err())
	return all
}

// contractions names every change that a program of the release before could trip over, or that holds a lock for as long as a
// table is big. Postgres itself has read the migrations, so nothing hides in a DO block.
func contractions(before, after map[thing]string) map[string]string {
	faults := map[string]string{}
	blame := func(o thing, what string) { faults[o.kind+" "+o.name] = what }
	for o, was := range before {
		is, there := after[o]
		switch {
		case !there && o.kind == "index": // slower, but right
		case !there:
			blame(o, "is gone")
		case is == was:
		case o.kind == "storage of":
			blame(o, "was rewritten")
		case o.kind == "column" && is == strings.Replace(was, " not null", "", 1): // accepts more than before
		case o.kind == "column" && is == was+" default":
		default:
			blame(o, "was "+was+" and is "+is)
		}
	}
	for o, is := range after {
		if _, known := before[o]; known {
			continue
		}
		_, old := before[thing{"table", o.table()}]
		switch {
		case !old: // part of something new
		case o.kind == "column" && strings.HasSuffix(is, " not null"):
			blame(o, "must be given, which programs of the release before do not")
		case slices.Contains([]string{"constraint", "unique index", "trigger", "policy"}, o.kind):
			blame(o, "is new on a table that programs of the release before write to")
		case o.kind == "index":
			blame(o, "was made while nobody could write to the table")
		}
	}
	return faults
}

// reviewed finds what a migration's author has thought about, written as a comment with the reason:
//
//	-- reviewed: index ticket_history.by_day: a table of a few thousand rows
//
// A contraction may stand there when no program of the release before can meet it.
func reviewed(text string) map[string]bool {
	all := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^-- reviewed: ((?:[a-z]+ )+[\w.(), ]+): \S.*$`).FindAllStringSubmatch(text, -1) {
		all[m[1]] = true
	}
	return all
}

// later applies the migrations after the release to d, and returns their text.
func later(t *testing.T, d *dbtest.Database, last int) string {
	t.Helper()
	names, err := fs.Glob(migrations.FS, "*.up.sql")
	require.NoError(t, err)
	var all strings.Builder
	for _, name := range names[last:] {
		content, err := fs.ReadFile(migrations.FS, name)
		require.NoError(t, err)
		run(t, d.OwnerURL, string(content))
		all.Write(content)
	}
	return all.String()
}

// atRelease makes a database with the schema of the release.
func atRelease(t *testing.T, r release) *dbtest.Database {
	t.Helper()
	d := dbtest.NewEmpty(t)
	_, err := db.MigrateUp(t.Context(), d.OwnerURL, d.AppURL, quiet)
	require.NoError(t, err)
	if steps := status(t, d).Latest - r.last; steps > 0 {
		_, err = db.MigrateDown(t.Context(), d.OwnerURL, steps, quiet)
		require.NoError(t, err)
	}
	return d
}

// During a rollout, and after a rollback, programs of the release before run on this schema.
func TestMigrationsAfterTheReleaseOnlyExpand(t *testing.T) {
	t.Parallel()
	r := readRelease(t)
	d := atRelease(t, r)
	before := catalogue(t, d.OwnerURL)
	require.Greater(t, len(before), 100)
	excused := reviewed(later(t, d, r.last))
	for name, what := range contractions(before, catalogue(t, d.OwnerURL)) {
		require.True(t, excused[name],
			"%s %s\nexpand first, contract in the release after; or explain in the migration: -- reviewed: %s: why", name, what, name)
	}
}

func TestEveryContractionIsFound(t *testing.T) {
	t.Parallel()
	for sql, want := range map[string]string{
		`ALTER TABLE note_posts DROP COLUMN swept_at`:                                                        "column note_posts.swept_at is gone",
		`ALTER TABLE note_posts RENAME COLUMN swept_at TO swept`:                                             "column note_posts.swept_at is gone",
		`DROP TABLE desk_connections`:                                                                        "table desk_connections is gone",
		`ALTER TABLE desk_connections RENAME TO desks`:                                                       "table desk_connections is gone",
		`ALTER TABLE note_posts ALTER COLUMN posts TYPE bigint`:                                              "storage of note_posts was rewritten",
		`ALTER TABLE note_posts ALTER COLUMN swept_at SET NOT NULL`:                                          "column note_posts.swept_at was timestamp with time zone and is",
		`ALTER TABLE note_posts ALTER COLUMN note_id DROP DEFAULT`:                                           "column note_posts.note_id was text not null default and is",
		`ALTER TABLE note_posts ADD COLUMN kind text NOT NULL`:                                               "column note_posts.kind must be given",
		`ALTER TABLE note_posts ADD COLUMN at timestamptz NOT NULL DEFAULT clock_timestamp()`:                "storage of note_posts was rewritten",
		`ALTER TABLE note_posts ADD CHECK (posts < 2)`:                                                       "constraint note_posts.note_posts_posts_check1 is new",
		`ALTER TABLE note_posts DROP CONSTRAINT note_posts_state_check`:                                      "constraint note_posts.note_posts_state_check is gone",
		`CREATE UNIQUE INDEX one_note ON note_posts (tenant_id, note_id)`:                                    "unique index note_posts.one_note is new",
		`CREATE INDEX by_note ON note_posts (note_id)`:                                                       "index note_posts.by_note was made",
		`DO $$ BEGIN EXECUTE 'ALTER TABLE note_posts ' || 'DROP COLUMN swept_at'; END $$`:                    "column note_posts.swept_at is gone",
		`DROP POLICY tenant_isolation ON note_posts`:                                                         "policy note_posts.tenant_isolation is gone",
		`CREATE POLICY more ON note_posts AS RESTRICTIVE USING (false)`:                                      "policy note_posts.more is new",
		`DROP FUNCTION scaler_workers(integer, integer)`:                                                     "function scaler_workers(up integer, down integer) is gone",
		`CREATE TRIGGER t BEFORE INSERT ON note_posts EXECUTE FUNCTION suppress_redundant_updates_trigger()`: "trigger note_posts.t is new",
	} {
		t.Run(sql, func(t *testing.T) {
			t.Parallel()
			d := dbtest.NewUnopened(t)
			before := catalogue(t, d.OwnerURL)
			run(t, d.OwnerURL, sql)
			var found []string
			for name, what := range contractions(before, catalogue(t, d.OwnerURL)) {
				found = append(found, name+" "+what)
			}
			require.Contains(t, strings.Join(found, "\n"), want)
		})
	}
}

func TestExpansionsAreNoContractions(t *testing.T) {
	t.Parallel()
	d := dbtest.NewUnopened(t)
	before := catalogue(t, d.OwnerURL)
	run(t, d.OwnerURL, `
		CREATE TABLE more (tenant_id text NOT NULL, id bigint NOT NULL, PRIMARY KEY (tenant_id, id), CHECK (id > 0));
		CREATE INDEX more_by_id ON more (id);
		ALTER TABLE note_posts ADD COLUMN a text, ADD COLUMN b text NOT NULL DEFAULT 'b';
		ALTER TABLE note_posts ALTER COLUMN ticket_id DROP NOT NULL;
		DROP INDEX note_posts_unsettled;
		CREATE OR REPLACE FUNCTION scaler_queue_depth() RETURNS bigint LANGUAGE sql AS 'SELECT 1::bigint'`)
	require.Empty(t, contractions(before, catalogue(t, d.OwnerURL)))
	require.Equal(t, map[string]bool{"index note_posts.by_note": true}, reviewed("-- reviewed: index note_posts.by_note: few rows\n-- reviewed: index x.y:\n"))
}
