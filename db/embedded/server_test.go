package embedded

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

func TestDataSurvivesAStop(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	s := start(t, Options{DataDir: dir})
	exe(t, s.OwnerURL(), `CREATE TABLE kept (v text); INSERT INTO kept VALUES ('here')`)
	before := s.OwnerURL()
	s.Stop(t.Context())
	s.Stop(t.Context()) // does nothing
	_, err := pgx.Connect(t.Context(), before)
	require.Error(t, err, "the server has ended")
	requireGone(t, s.process.Pid)
	requireGone(t, s.process.guard.cmd.Process.Pid)

	s = start(t, Options{DataDir: dir})
	require.Equal(t, "here", read[string](t, s.OwnerURL(), `SELECT v FROM kept`))
}

func TestRolesHaveNoMoreThanTheyNeed(t *testing.T) {
	t.Parallel()
	s := start(t, Options{DataDir: newDir(t), Settings: []string{"timezone=Asia/Kolkata"}})
	for _, url := range []string{s.OwnerURL(), s.AppURL()} {
		require.False(t, read[bool](t, url,
			`SELECT rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication FROM pg_roles WHERE rolname = current_user`))
	}
	require.True(t, read[bool](t, s.AdminURL(), `SELECT rolsuper FROM pg_roles WHERE rolname = current_user`))
	require.Equal(t, "aiagents_owner", read[string](t, s.AppURL(), `SELECT pg_get_userbyid(datdba)::text FROM pg_database WHERE datname = current_database()`))
	_, err := connect(t, s.AppURL()).Exec(t.Context(), `CREATE TABLE mine ()`)
	require.ErrorContains(t, err, "permission denied")
	require.Equal(t, "Asia/Kolkata", read[string](t, s.AppURL(), `SHOW timezone`))
	require.Equal(t, "127.0.0.1", read[string](t, s.AppURL(), `SHOW listen_addresses`))
	require.Equal(t, "ä", read[string](t, s.AppURL(), `SELECT lower('Ä')`), "text search needs a locale that knows letters")
	require.True(t, strings.HasPrefix(read[string](t, s.AppURL(), `SHOW server_version`), s.Version()))

	wrong := strings.Replace(s.AppURL(), s.passwords[appRole], "guess", 1)
	_, err = pgx.Connect(t.Context(), wrong)
	require.ErrorContains(t, err, "password authentication failed")
	info, err := os.Stat(filepath.Join(s.data(), credentialsFile))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}

func TestOnlyThrowawayDataIsNotSynced(t *testing.T) {
	t.Parallel()
	require.Equal(t, "on", read[string](t, start(t, Options{DataDir: newDir(t)}).AppURL(), `SHOW fsync`))
	require.Equal(t, "off", read[string](t, start(t, Options{DataDir: newDir(t), Throwaway: true}).AppURL(), `SHOW fsync`))
}

func TestSecondOwnerIsRefused(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	h := startHelper(t, dir)
	_, err := Start(t.Context(), Options{DataDir: dir})
	var inUse *InUseError
	require.ErrorAs(t, err, &inUse)
	require.Equal(t, InUseError{DataDir: dir, PID: h.cmd.Process.Pid}, *inUse)
	require.ErrorContains(t, err, dir)
	require.ErrorContains(t, err, "AI_AGENTS_DATA_DIR")
	require.Equal(t, 1, read[int](t, h.ownerURL, `SELECT 1`), "the first is not disturbed")

	require.NoError(t, h.stdin.Close())
	require.NoError(t, h.cmd.Wait())
	requireGone(t, h.pid)
	start(t, Options{DataDir: dir})
}

func TestStopWithNoTimeLeft(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	s := start(t, Options{DataDir: dir})
	exe(t, s.OwnerURL(), `CREATE TABLE kept (v text)`)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	s.Stop(ended)
	requireGone(t, s.process.Pid)
	s = start(t, Options{DataDir: dir})
	require.Equal(t, 0, read[int](t, s.OwnerURL(), `SELECT count(*) FROM kept`))
}

func TestStartIsCancelled(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Start(ended, Options{DataDir: dir})
	require.Error(t, err)
	start(t, Options{DataDir: dir})
}

// lockedBuffer is a buffer that the logger and the test may use at once.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestServerThatDiesIsReportedAndRecovers(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	var log lockedBuffer
	s := start(t, Options{DataDir: dir, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	exe(t, s.OwnerURL(), `CREATE TABLE kept (v text); INSERT INTO kept VALUES ('here')`)
	require.NoError(t, syscall.Kill(s.process.Pid, syscall.SIGKILL))
	requireGone(t, s.process.guard.cmd.Process.Pid)
	require.Eventually(t, func() bool { return strings.Contains(log.String(), "ended by itself") }, patience, 10*time.Millisecond)
	require.NotContains(t, log.String(), s.passwords[appRole])
	s.Stop(t.Context())

	s = start(t, Options{DataDir: dir})
	require.Equal(t, "here", read[string](t, s.OwnerURL(), `SELECT v FROM kept`))
}

func TestUnfinishedClusterIsMadeAnew(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	unfinished := filepath.Join(dir, "cluster.new-1")
	require.NoError(t, os.MkdirAll(filepath.Join(unfinished, "data", "base"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(unfinished, "data", "PG_VERSION"), []byte("15\n"), 0o600))
	s := start(t, Options{DataDir: dir})
	require.Equal(t, 1, read[int](t, s.AppURL(), `SELECT 1`))
	require.NoDirExists(t, unfinished)
}

func TestLogOfAFailedStartIsShown(t *testing.T) {
	t.Parallel()
	_, err := Start(t.Context(), Options{DataDir: newDir(t), Settings: []string{"shared_buffers=nonsense"}})
	require.ErrorContains(t, err, "shared_buffers")
	require.ErrorContains(t, err, "postgres.log")
}
