package embedded

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// fakeBinaries makes a folder with programs that know their version and nothing else.
func fakeBinaries(t *testing.T, version string, programs ...string) string {
	t.Helper()
	dir := newProgramDir(t)
	if programs == nil {
		programs = []string{"initdb", "pg_ctl", "postgres"}
	}
	for _, name := range programs {
		script(t, filepath.Join(dir, name), fmt.Sprintf("echo '%s (PostgreSQL) %s'", name, version))
	}
	return dir
}

func script(t *testing.T, path, body string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"+body+"\n"), 0o600))
	require.NoError(t, os.Chmod(path, 0o755))
}

func TestNewestCompleteBinariesAreChosen(t *testing.T) {
	t.Parallel()
	old := fakeBinaries(t, "14.20")
	low := fakeBinaries(t, "15.2")
	high := fakeBinaries(t, "16.10 (Debian 16.10-1)")
	higher := fakeBinaries(t, "16.11")
	beta := fakeBinaries(t, "17beta1")
	incomplete := fakeBinaries(t, "18.1", "postgres", "initdb")
	client := fakeBinaries(t, "18.1", "pg_ctl")
	notAProgram := fakeBinaries(t, "18.1")
	require.NoError(t, os.Chmod(filepath.Join(notAProgram, "initdb"), 0o644))
	broken := fakeBinaries(t, "18.1")
	script(t, filepath.Join(broken, "postgres"), "exit 127")
	strange := fakeBinaries(t, "unknown")
	link := filepath.Join(newDir(t), "link")
	require.NoError(t, os.Symlink(high, link))

	var got []string
	for _, b := range suitable(t.Context(), serverAccount(),
		[]string{"/nonexistent", old, low, link, high, higher, beta, incomplete, client, notAProgram, broken, strange}) {
		got = append(got, b.dir)
	}
	require.Equal(t, []string{beta, higher, high, low}, got)
}

func TestDataKeepsItsMajorVersion(t *testing.T) {
	t.Parallel()
	older, newer := fakeBinaries(t, "15.2"), fakeBinaries(t, "16.1")
	o := Options{DataDir: "/data", CacheDir: newProgramDir(t), BinaryRepositoryURL: "http://127.0.0.1:1", installed: func() []string { return []string{older, newer} }}
	o, err := o.withDefaults()
	require.NoError(t, err)
	for major, dir := range map[int]string{0: newer, 15: older, 16: newer} {
		b, err := chooseBinaries(t.Context(), serverAccount(), o, major)
		require.NoError(t, err)
		require.Equal(t, dir, b.dir, "for data of version %d", major)
	}
	_, err = chooseBinaries(t.Context(), serverAccount(), o, 17)
	var wrong *VersionError
	require.ErrorAs(t, err, &wrong, "17 can neither be found nor fetched")
	require.Equal(t, 17, wrong.Major)
}

func TestDataOfAnotherMajorVersion(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	cluster := filepath.Join(dir, "cluster")
	require.NoError(t, os.Mkdir(cluster, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(cluster, "PG_VERSION"), []byte("14\n"), 0o600))
	_, err := Start(t.Context(), Options{DataDir: dir})
	var wrong *VersionError
	require.ErrorAs(t, err, &wrong)
	require.ErrorContains(t, err, "written by Postgres 14")
	require.ErrorContains(t, err, dir)
	require.ErrorContains(t, err, "install Postgres 14")
	require.FileExists(t, filepath.Join(cluster, "PG_VERSION"), "the data is left alone")
}

func TestBinaryDirIsTakenAtItsWord(t *testing.T) {
	t.Parallel()
	_, err := Start(t.Context(), Options{DataDir: newDir(t), BinaryDir: fakeBinaries(t, "14.1")})
	require.ErrorContains(t, err, "15 or newer")
	s := start(t, Options{DataDir: newDir(t)})
	require.Equal(t, s.Version(), start(t, Options{DataDir: newDir(t), BinaryDir: s.binaries.dir}).Version())
}

// Not parallel: it changes the environment.
func TestLinkOnThePathLeadsToTheOtherPrograms(t *testing.T) {
	complete := fakeBinaries(t, "16.1")
	bin := newProgramDir(t)
	require.NoError(t, os.Symlink(filepath.Join(complete, "postgres"), filepath.Join(bin, "postgres")))
	t.Setenv("PATH", bin)
	found := suitable(t.Context(), serverAccount(), installedDirs())
	var dirs []string
	for _, b := range found {
		dirs = append(dirs, b.dir)
	}
	require.Contains(t, dirs, complete)
	require.NotContains(t, dirs, bin)
}
