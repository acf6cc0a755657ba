package embedded

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// minMajor is the oldest major version that the schema supports.
const minMajor = 15

// binaries is a folder with a complete set of server programs.
type binaries struct {
	dir          string
	major, minor int
}

func (b binaries) String() string {
	return b.version() + " in " + b.dir
}

func (b binaries) version() string { return fmt.Sprintf("%d.%d", b.major, b.minor) }

func (b binaries) program(name string) string { return filepath.Join(b.dir, name) }

// VersionError says that the data needs another major version than can be had.
type VersionError struct {
	DataDir string
	Major   int
	Reason  error // why binaries of that version cannot be had
}

func (e *VersionError) Error() string {
	return fmt.Sprintf("the data in %s was written by Postgres %d, and no other major version can read it: "+
		"install Postgres %d, or choose another folder with AI_AGENTS_DATA_DIR, or, if the data can go, remove the folder (%v)",
		e.DataDir, e.Major, e.Major, e.Reason)
}

func (e *VersionError) Unwrap() error { return e.Reason }

// chooseBinaries finds the programs for the data: those of the major version
// that wrote it, and for new data (major 0) the newest of the machine. What the
// machine does not have is fetched.
func chooseBinaries(ctx context.Context, a account, o Options, major int) (binaries, error) {
	dirs := []string{o.BinaryDir}
	if o.BinaryDir == "" {
		dirs = o.installed()
	}
	found := suitable(ctx, a, dirs)
	for _, b := range found {
		if major == 0 || b.major == major {
			return b, nil
		}
	}
	var err error
	switch {
	case o.BinaryDir != "" && len(found) == 0:
		return binaries{}, fmt.Errorf("%s has no complete set of Postgres programs (initdb, pg_ctl, postgres) of version %d or newer that user %s can run",
			o.BinaryDir, minMajor, a.name)
	case o.BinaryDir != "":
		err = fmt.Errorf("there is Postgres %s", found[0])
	case major != 0 && published[major] == "":
		err = fmt.Errorf("binaries of version %d are neither installed nor published for fetching", major)
	default:
		return fetchFor(ctx, a, o, major)
	}
	return binaries{}, &VersionError{DataDir: o.DataDir, Major: major, Reason: err}
}

func fetchFor(ctx context.Context, a account, o Options, major int) (binaries, error) {
	fetch := major
	if major == 0 {
		fetch = newestPublished
	}
	b, err := fetched(ctx, a, o, fetch)
	switch {
	case err == nil:
		return b, nil
	case major == 0:
		return b, fmt.Errorf("there is no Postgres %d or newer on this machine, and it cannot be fetched: %w; "+
			"install one, or use a server of your own with AI_AGENTS_DATABASE_URL", minMajor, err)
	default:
		return b, &VersionError{DataDir: o.DataDir, Major: major, Reason: err}
	}
}

// installedDirs lists the folders where a machine may have server programs.
func installedDirs() []string {
	var dirs []string
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		program := filepath.Join(dir, "postgres")
		if _, err := os.Stat(program); err != nil {
			continue
		}
		// A link on the PATH leads to the folder that has the other programs too.
		if real, err := filepath.EvalSymlinks(program); err == nil {
			dirs = append(dirs, filepath.Dir(real))
		}
		dirs = append(dirs, dir)
	}
	if out, err := exec.Command("pg_config", "--bindir").Output(); err == nil {
		dirs = append(dirs, strings.TrimSpace(string(out)))
	}
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin",                          // Debian, Ubuntu
		"/usr/lib/postgresql*/bin",                           // SUSE, Gentoo
		"/usr/libexec/postgresql*",                           // Alpine
		"/usr/pgsql-*/bin",                                   // RPM of the Postgres project
		"/opt/homebrew/opt/postgresql@*/bin",                 // Homebrew on Apple silicon
		"/usr/local/opt/postgresql@*/bin",                    // Homebrew on Intel
		"/home/linuxbrew/.linuxbrew/opt/postgresql@*/bin",    // Homebrew on Linux
		"/Applications/Postgres.app/Contents/Versions/*/bin", // Postgres.app
		"/Library/PostgreSQL/*/bin",                          // EDB installer
		"/usr/local/pgsql/bin",                               // built from source
	} {
		found, _ := filepath.Glob(pattern)
		dirs = append(dirs, found...)
	}
	return dirs
}

// suitable returns the complete sets among dirs of version 15 or newer, newest first.
func suitable(ctx context.Context, a account, dirs []string) []binaries {
	var found []binaries
	seen := map[string]bool{}
	for _, dir := range dirs {
		if real, err := filepath.EvalSymlinks(dir); err == nil {
			dir = real
		}
		if seen[dir] {
			continue
		}
		seen[dir] = true
		if b, err := inspect(ctx, a, dir); err == nil && b.major >= minMajor {
			found = append(found, b)
		}
	}
	slices.SortStableFunc(found, func(x, y binaries) int {
		if x.major != y.major {
			return y.major - x.major
		}
		return y.minor - x.minor
	})
	return found
}

var versionPattern = regexp.MustCompile(`\(PostgreSQL\) (\d+)(?:\.(\d+))?`)

// inspect asks the server program for its version, as the user who will run
// it: programs in a folder closed to that user are as good as none.
func inspect(ctx context.Context, a account, dir string) (binaries, error) {
	for _, name := range []string{"initdb", "pg_ctl", "postgres"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			return binaries{}, fmt.Errorf("incomplete binaries: %w", err)
		}
		if info.IsDir() || info.Mode().Perm()&0o111 == 0 {
			return binaries{}, fmt.Errorf("incomplete binaries: %s/%s is not a program", dir, name)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, err := a.command(ctx, filepath.Join(dir, "postgres"), "--version").Output()
	if err != nil {
		return binaries{}, fmt.Errorf("ask %s/postgres for its version: %w", dir, err)
	}
	m := versionPattern.FindStringSubmatch(string(out))
	if m == nil {
		return binaries{}, fmt.Errorf("%s/postgres gives an unknown version %q", dir, strings.TrimSpace(string(out)))
	}
	major, _ := strconv.Atoi(m[1])
	minor, _ := strconv.Atoi(m[2])
	return binaries{dir: dir, major: major, minor: minor}, nil
}
