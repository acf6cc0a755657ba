package embedded

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

const rootOnly = "needs root; the other tests of this run show the ordinary user"

func TestServerNeverRunsAsRoot(t *testing.T) {
	t.Parallel()
	s := start(t, Options{DataDir: newDir(t)})
	require.NotEqual(t, "0", ownerOf(t, s.process.Pid))
	require.NotEqual(t, "0", ownerOf(t, s.process.guard.cmd.Process.Pid))
	require.Equal(t, strconv.Itoa(int(s.account.uid)), ownerOf(t, s.process.Pid))
}

// TestAsOrdinaryUser runs the tests in which the user matters once more, without root and with an empty home.
func TestAsOrdinaryUser(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip(rootOnly)
	}
	nobody, err := lookupAccount("nobody")
	require.NoError(t, err)
	dir := newProgramDir(t)
	home := filepath.Join(dir, "home")
	require.NoError(t, os.Mkdir(home, 0o700))
	require.NoError(t, os.Chown(home, int(nobody.uid), int(nobody.gid)))
	// The folder that go test builds in is closed to others.
	binary := filepath.Join(dir, "embedded.test")
	copyProgram(t, binary, os.Args[0])
	cmd := exec.CommandContext(t.Context(), binary, "-test.count=1", "-test.timeout=5m",
		"-test.run=^(TestDataSurvives|TestSecondOwner|TestKilledOwner|TestServerOfADeadOwner|TestStalePIDFile|TestWatchdog|TestFetchedOnce|TestDefaultFolders)")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody.uid, Gid: nobody.gid}}
	cmd.Dir = home
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home}
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
}

func copyProgram(t *testing.T, to, from string) {
	t.Helper()
	source, err := os.Open(from)
	require.NoError(t, err)
	defer source.Close()
	target, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	require.NoError(t, err)
	_, err = io.Copy(target, source)
	require.NoError(t, err)
	require.NoError(t, target.Close())
}

func TestFolderClosedToTheServersUser(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip(rootOnly)
	}
	home := t.TempDir()
	require.NoError(t, os.Chmod(home, 0o700))
	_, err := Start(t.Context(), Options{DataDir: filepath.Join(home, "data")})
	require.ErrorContains(t, err, "is closed to it")
	require.ErrorContains(t, err, "AI_AGENTS_DATA_DIR")
}

func TestDataChangesHandsWithTheServersUser(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip(rootOnly)
	}
	dir := newDir(t)
	s := start(t, Options{DataDir: dir})
	s.Stop(t.Context())
	nobody, err := lookupAccount("nobody")
	require.NoError(t, err)
	require.NoError(t, nobody.own(s.data()))
	s = start(t, Options{DataDir: dir})
	require.Equal(t, strconv.Itoa(int(s.account.uid)), ownerOf(t, s.process.Pid))
}

// Not parallel: it changes the environment.
func TestDefaultFolders(t *testing.T) {
	home, temporary := newDir(t), newDir(t)
	t.Setenv("HOME", home)
	t.Setenv("XDG_CACHE_HOME", "")
	t.Setenv("TMPDIR", temporary)
	require.NoError(t, os.Chmod(temporary, 0o1777))
	uid := strconv.Itoa(os.Geteuid())

	if os.Geteuid() != 0 {
		dir, err := DefaultDir()
		require.NoError(t, err)
		cache, err := os.UserCacheDir()
		require.NoError(t, err)
		require.Equal(t, filepath.Join(cache, "aiagents"), dir)
		t.Setenv("HOME", "")
		dir, err = DefaultDir()
		require.NoError(t, err)
		require.Equal(t, filepath.Join(temporary, "aiagents-"+uid), dir, "without a home")
		t.Setenv("HOME", "/nonexistent")
		dir, err = DefaultDir()
		require.NoError(t, err)
		require.Equal(t, filepath.Join(temporary, "aiagents-"+uid), dir, "with a home that cannot be made")
	}

	dir, err := TempDir("x", "/nonexistent/closed/file")
	require.NoError(t, err)
	if os.Geteuid() != 0 { // root can make even that
		require.Equal(t, filepath.Join(temporary, "x-"+uid), dir)
	}
	if os.Geteuid() == 0 {
		require.NoError(t, os.RemoveAll("/nonexistent"))
		// A folder that another user was first to make is not used.
		foreign := filepath.Join(temporary, "y-"+uid)
		require.NoError(t, os.Mkdir(foreign, 0o755))
		require.NoError(t, os.Chown(foreign, 65534, 65534))
		dir, err = TempDir("y")
		require.NoError(t, err)
		require.Equal(t, "/tmp/y-"+uid, dir)
		require.NoError(t, os.Remove(dir))
	}
}
