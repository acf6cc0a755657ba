package tests

import (
	"net/url"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"aiagents/db/dbtest"
)

// sqlOf returns the SQL of a document's n-th block, with passwords filled in and every role and database under names of this
// test's own, since roles belong to the whole server.
func sqlOf(t *testing.T, text string, n int, own string) []string {
	t.Helper()
	blocks := regexp.MustCompile("(?s)```sql\n(.*?)```").FindAllStringSubmatch(text, -1)
	require.Greater(t, len(blocks), n)
	sql := strings.ReplaceAll(blocks[n][1], "'…'", "'secret'")
	for _, role := range []string{"aiagents_owner", "aiagents_app", "aiagents_scaler"} {
		sql = strings.ReplaceAll(sql, role, role+own)
	}
	sql = regexp.MustCompile(`DATABASE aiagents\b`).ReplaceAllString(sql, "DATABASE aiagents"+own)
	return strings.Split(sql, "\\connect aiagents\n")
}

func execute(t *testing.T, address, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), address)
	require.NoError(t, err)
	defer conn.Close(t.Context())
	for statement := range strings.SplitSeq(sql, ";\n") { // each alone: CREATE DATABASE takes no company
		_, err := conn.Exec(t.Context(), statement)
		require.NoError(t, err, statement)
	}
}

// as is the address of a role of this test in its database.
func as(t *testing.T, admin, role, own string) string {
	t.Helper()
	u, err := url.Parse(admin)
	require.NoError(t, err)
	u.User, u.Path = url.UserPassword(role+own, "secret"), "/aiagents"+own
	return u.String()
}

// The SQL of docs/operations.md, as it stands there, gives three roles with which production's checks are content.
func TestTheRolesOfTheOperationsPageWork(t *testing.T) {
	t.Parallel()
	d := dbtest.NewEmpty(t)
	admin, err := url.Parse(d.AdminURL)
	require.NoError(t, err)
	own := "_" + strings.TrimPrefix(admin.Path, "/")
	text := readFile(t, "docs/operations.md")
	first := sqlOf(t, text, 0, own)
	require.Len(t, first, 2, "before and after \\connect")
	execute(t, d.AdminURL, first[0])
	admin.Path = "/aiagents" + own
	execute(t, admin.String(), first[1])

	environ := []string{
		"AI_AGENTS_ENVIRONMENT=production", "AI_AGENTS_DATABASE_URL=" + as(t, d.AdminURL, "aiagents_app", own),
		"AI_AGENTS_MIGRATION_DATABASE_URL=" + as(t, d.AdminURL, "aiagents_owner", own),
	}
	run := func(more []string, args ...string) string {
		cmd := exec.Command(binary(t), args...)
		cmd.Env = append(environ, more...)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%v: %s", args, out)
		return string(out)
	}
	run(nil, "migrate", "up")
	keys := []string{"AI_AGENTS_ENCRYPTION_KEYS=" + keyring}
	require.NotContains(t, run(keys, "tenant", "list", "--output", "json"), "not isolated")

	execute(t, admin.String(), sqlOf(t, text, 1, own)[0])
	scaler, err := pgx.Connect(t.Context(), as(t, d.AdminURL, "aiagents_scaler", own))
	require.NoError(t, err)
	defer scaler.Close(t.Context())
	var workers int
	require.NoError(t, scaler.QueryRow(t.Context(), `SELECT scaler_workers(50, 10)`).Scan(&workers))
	require.Equal(t, 1, workers)
	_, err = scaler.Exec(t.Context(), `SELECT * FROM tenant_configs`)
	require.Error(t, err)
}
