package dbtest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// modeEnv makes this test binary, run once more, behave as the named test wants.
const modeEnv = "DBTEST_TEST_MODE"

func TestMain(m *testing.M) {
	if os.Getenv(modeEnv) == "no Main" {
		os.Exit(m.Run())
	}
	Main(m)
}

// again runs this test binary once more, with one test of it.
func again(t *testing.T, mode, test string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+test+"$", "-test.v", "-test.count=1")
	cmd.Env = append(os.Environ(), modeEnv+"="+mode)
	return cmd
}

func TestDatabaseIsMigratedAndItsOwn(t *testing.T) {
	t.Parallel()
	one, two := New(t), New(t)
	err := one.InTx(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO tenant_directory (id) VALUES ('acme')`)
		return err
	})
	require.NoError(t, err)
	require.Equal(t, 1, query[int](t, one.AppURL, `SELECT count(*) FROM tenant_directory`), "written to the first")
	require.Equal(t, 0, query[int](t, two.AppURL, `SELECT count(*) FROM tenant_directory`), "and not to the second")
}

func TestDatabaseIsAsTheProgramFindsIt(t *testing.T) {
	t.Parallel()
	d := New(t)
	require.Equal(t, "aiagents_app", query[string](t, d.AppURL, `SELECT current_user::text`))
	require.Equal(t, "aiagents_owner", query[string](t, d.OwnerURL, `SELECT current_user::text`))
	require.True(t, query[bool](t, d.AdminURL, `SELECT rolsuper FROM pg_roles WHERE rolname = current_user`))
	require.Equal(t, "Asia/Kolkata", query[string](t, d.AppURL, `SHOW timezone`))
	require.True(t, query[bool](t, d.AppURL, `SELECT count(*) > 0 FROM river_migration`))
	require.False(t, query[bool](t, NewEmpty(t).OwnerURL, `SELECT to_regclass('tenant_directory') IS NOT NULL`))
}

func TestDatabaseIsDroppedWithItsTest(t *testing.T) {
	t.Parallel()
	kept := NewUnopened(t)
	var gone *Database
	t.Run("inner", func(t *testing.T) {
		gone = New(t)
		// A connection left open must not stand in the way.
		_, err := pgx.Connect(t.Context(), gone.OwnerURL)
		require.NoError(t, err)
	})
	names := query[[]string](t, kept.AdminURL, `SELECT array_agg(datname::text) FROM pg_database`)
	require.Contains(t, names, databaseOf(t, kept))
	require.NotContains(t, names, databaseOf(t, gone))
}

func TestNewWithoutMainFails(t *testing.T) {
	t.Parallel()
	out, err := again(t, "no Main", "TestDatabaseIsMigratedAndItsOwn").CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "dbtest.Main(m)")
}

func TestMainFindsLeaks(t *testing.T) {
	t.Parallel()
	if os.Getenv(modeEnv) == "leak" {
		go func() { select {} }()
		return
	}
	out, err := again(t, "leak", "TestMainFindsLeaks").CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "goleak")
}

func TestManyTestBinariesAtOnce(t *testing.T) {
	t.Parallel()
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			out, err := again(t, "", "TestDatabaseIsMigratedAndItsOwn").CombinedOutput()
			if err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	all.Wait()
}

// TestKilledTestBinaryLeavesNothing kills a test binary that has a server, as a timeout or an impatient person would.
func TestKilledTestBinaryLeavesNothing(t *testing.T) {
	t.Parallel()
	if os.Getenv(modeEnv) == "wait to be killed" {
		d := New(t)
		fmt.Println("READY", d.AdminURL, running.server.dir)
		_, err := io.Copy(io.Discard, os.Stdin)
		require.NoError(t, err)
		return
	}
	cmd := again(t, "wait to be killed", "TestKilledTestBinaryLeavesNothing")
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	defer stdin.Close()
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	var connection, dir string
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if n, _ := fmt.Sscanf(lines.Text(), "READY %s %s", &connection, &dir); n == 2 {
			break
		}
	}
	require.DirExists(t, dir)
	require.Equal(t, 1, query[int](t, connection, `SELECT 1`))
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()

	require.Eventually(t, func() bool {
		conn, err := pgx.Connect(t.Context(), connection)
		if err == nil {
			_ = conn.Close(t.Context())
		}
		return err != nil
	}, patience, 20*time.Millisecond, "the server ends by itself")
	s, err := claim(t.Context())
	require.NoError(t, err)
	defer s.remove()
	require.NoDirExists(t, dir, "the next one to come cleans up")
	require.DirExists(t, s.dir)
}

func TestOldOriginalsAndOnlyTheyAreSwept(t *testing.T) {
	t.Parallel()
	base := DataDir(t)
	fresh, old := filepath.Join(base, "original-fresh"), filepath.Join(base, "original-old")
	live, dead := filepath.Join(base, "run-live"), filepath.Join(base, "run-dead")
	for _, dir := range []string{fresh, old, live, dead} {
		require.NoError(t, os.Mkdir(dir, 0o700))
	}
	past := time.Now().Add(-2 * originalLifetime)
	require.NoError(t, os.Chtimes(old, past, past))
	f, err := flock(filepath.Join(live, "owner"), syscall.LOCK_EX)
	require.NoError(t, err)
	defer f.Close()
	sweep(base)
	require.DirExists(t, fresh)
	require.DirExists(t, live)
	require.NoDirExists(t, old)
	require.NoDirExists(t, dead)
}

// TestAsOrdinaryUser runs a test with an empty home and without root.
func TestAsOrdinaryUser(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("needs root; the other tests of this run show the ordinary user")
	}
	const nobody = 65534
	dir, err := os.MkdirTemp("", "dbtest")
	require.NoError(t, err)
	defer os.RemoveAll(dir)
	require.NoError(t, os.Chown(dir, nobody, nobody))
	// The folder that go test builds in is closed to others.
	program := filepath.Join(dir, "dbtest.test")
	require.NoError(t, copyFile(program, os.Args[0], 0o755))
	cmd := exec.CommandContext(t.Context(), program, "-test.run=^TestDatabase", "-test.count=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
}

func databaseOf(t *testing.T, d *Database) string {
	t.Helper()
	u, err := url.Parse(d.AppURL)
	require.NoError(t, err)
	return strings.TrimPrefix(u.Path, "/")
}

func query[T any](t *testing.T, connection, sql string) (value T) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), connection)
	require.NoError(t, err)
	defer conn.Close(context.Background())
	require.NoError(t, conn.QueryRow(t.Context(), sql).Scan(&value))
	return value
}
