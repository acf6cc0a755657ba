package crashpoint_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func build(t *testing.T, tags string) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "program")
	out, err := exec.Command("go", "build", "-tags", tags, "-o", bin, "./testdata/program").CombinedOutput()
	require.NoError(t, err, string(out))
	return bin
}

func run(bin string, env ...string) (string, error) {
	cmd := exec.Command(bin)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func requireKilled(t *testing.T, err error) {
	t.Helper()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	require.Equal(t, syscall.SIGKILL, exit.Sys().(syscall.WaitStatus).Signal())
}

func TestOrdinaryBuildsIgnoreThePoints(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "k4"), nil, 0o600))
	out, err := run(build(t, ""), "AI_AGENTS_CRASHPOINT=k4", "AI_AGENTS_CRASHPOINT_DIR="+dir)
	require.NoError(t, err)
	require.Equal(t, "passed passed passed ", out)
	require.FileExists(t, filepath.Join(dir, "k4"))
}

func TestChaosBuildsDieAtTheirPoint(t *testing.T) {
	t.Parallel()
	bin := build(t, "chaos")

	out, err := run(bin, "AI_AGENTS_CRASHPOINT=k4:3")
	requireKilled(t, err)
	require.Equal(t, "passed passed ", out)

	_, err = run(bin, "AI_AGENTS_CRASHPOINT=k5", "AI_AGENTS_CRASHPOINT_DIR=")
	require.NoError(t, err, "another point is not this one")

	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "k4"), nil, 0o600))
	out, err = run(bin, "AI_AGENTS_CRASHPOINT_DIR="+dir)
	requireKilled(t, err)
	require.Empty(t, out)
	out, err = run(bin, "AI_AGENTS_CRASHPOINT_DIR="+dir)
	require.NoError(t, err, "one file is one kill")
	require.Equal(t, "passed passed passed ", out)
}
