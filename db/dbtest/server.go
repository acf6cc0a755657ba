package dbtest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"aiagents/db"
	"aiagents/db/embedded"
	"aiagents/db/migrations"
)

// originalLifetime is short because cleaners of temporary folders may take
// single files out of an old one.
const originalLifetime = 24 * time.Hour

// server is the Postgres server of this test binary.
type server struct {
	*embedded.Server
	dir   string
	owner *os.File // locked for as long as this process lives
}

// startServer runs a server on a copy of the original cluster, which it makes
// first where there is none.
func startServer() (*server, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s, err := claim(ctx)
	if err != nil {
		return nil, fmt.Errorf("prepare test server: %w", err)
	}
	if err := s.start(ctx); err != nil {
		s.remove()
		return nil, fmt.Errorf("start test server: %w", err)
	}
	return s, nil
}

func (s *server) start(ctx context.Context) (err error) {
	if s.Server, err = embedded.Start(ctx, options(filepath.Join(s.dir, "data"))); err != nil {
		return err
	}
	// The copy is up to date but for what the original's key does not see: River's migrations and the grants.
	if err := migrate(ctx, s.Server); err != nil {
		s.Stop(ctx)
		return err
	}
	return nil
}

func (s *server) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s.Stop(ctx)
	s.remove()
}

func (s *server) remove() {
	if err := os.RemoveAll(s.dir); err != nil {
		fmt.Fprintf(os.Stderr, "dbtest: remove test server's folder: %v\n", err)
	}
	s.owner.Close()
}

func options(dir string) embedded.Options {
	return embedded.Options{
		DataDir:   dir,
		Throwaway: true,
		Settings:  []string{"timezone=Asia/Kolkata", "max_connections=300"},
		Progress:  os.Stderr,
	}
}

func migrate(ctx context.Context, s *embedded.Server) error {
	_, err := db.MigrateUp(ctx, s.OwnerURL(), s.AppURL(), slog.New(slog.DiscardHandler))
	return err
}

// memoryFS holds files in memory on Linux: making a database's few hundred
// files there takes a tenth of the time.
const memoryFS = "/dev/shm"

// roomNeeded is what memoryFS must have free to be used: containers often
// limit it to a few megabytes.
const roomNeeded = 2 << 30

// scratch is the folder for what lives no longer than this process.
func scratch() (string, error) {
	var parents []string
	var fs syscall.Statfs_t
	if err := syscall.Statfs(memoryFS, &fs); err == nil && uint64(fs.Bavail)*uint64(fs.Bsize) >= roomNeeded {
		parents = append(parents, memoryFS)
	}
	return embedded.TempDir("aiagents-dbtest", parents...)
}

// claim gives this process a folder with a copy of the original cluster. One
// lock covers the original's making, the copying and the cleaning, so that no
// process meets another one's half-made or half-removed folder.
func claim(ctx context.Context) (*server, error) {
	base, err := embedded.TempDir("aiagents-dbtest")
	if err != nil {
		return nil, err
	}
	fast, err := scratch()
	if err != nil {
		return nil, err
	}
	lock, err := flock(filepath.Join(base, "lock"), syscall.LOCK_EX)
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	sweep(base)
	sweep(fast)
	original, err := ensureOriginal(ctx, base)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(fast, "run-")
	if err != nil {
		return nil, fmt.Errorf("make folder: %w", err)
	}
	s := &server{dir: dir}
	err = os.Chmod(dir, 0o711) // the server may run as another user
	if err == nil {
		s.owner, err = flock(filepath.Join(dir, "owner"), syscall.LOCK_EX|syscall.LOCK_NB)
	}
	if err == nil {
		err = copyTree(filepath.Join(dir, "data"), original)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("copy cluster: %w", err), os.RemoveAll(dir))
	}
	return s, nil
}

// sweep removes the folders of processes that are gone, and old originals.
func sweep(base string) {
	runs, _ := filepath.Glob(filepath.Join(base, "run-*"))
	for _, dir := range runs {
		if f, err := flock(filepath.Join(dir, "owner"), syscall.LOCK_EX|syscall.LOCK_NB); err == nil {
			_ = os.RemoveAll(dir)
			f.Close()
		}
	}
	originals, _ := filepath.Glob(filepath.Join(base, "original-*"))
	for _, dir := range originals {
		if info, err := os.Stat(dir); err == nil && time.Since(info.ModTime()) > originalLifetime {
			_ = os.RemoveAll(dir)
		}
	}
}

// ensureOriginal returns the folder of a migrated, stopped cluster. Its name
// has a hash of what went into it, so that a changed migration makes a new one.
func ensureOriginal(ctx context.Context, base string) (string, error) {
	key, err := originalKey(ctx)
	if err != nil {
		return "", err
	}
	original := filepath.Join(base, "original-"+key)
	if _, err := os.Stat(original); err == nil {
		return original, nil
	}
	work := filepath.Join(base, "unfinished")
	if err := os.RemoveAll(work); err != nil {
		return "", fmt.Errorf("remove unfinished cluster: %w", err)
	}
	s, err := embedded.Start(ctx, options(work))
	if err != nil {
		return "", err
	}
	err = migrate(ctx, s)
	s.Stop(ctx)
	if err == nil {
		err = os.Rename(work, original)
	}
	if err != nil {
		return "", fmt.Errorf("make cluster: %w", err)
	}
	return original, nil
}

func originalKey(ctx context.Context) (string, error) {
	version, err := embedded.Version(ctx, options(""))
	if err != nil {
		return "", err
	}
	hash := sha256.New()
	fmt.Fprintln(hash, version)
	err = fs.WalkDir(migrations.FS, ".", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		content, err := migrations.FS.ReadFile(path)
		fmt.Fprintf(hash, "%s %d\n%s", path, len(content), content)
		return err
	})
	return hex.EncodeToString(hash.Sum(nil))[:16], err
}

// copyTree copies folders and files with their permissions, which Postgres is
// particular about. A cluster has nothing else in it.
func copyTree(to, from string) error {
	return filepath.WalkDir(from, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		if e.IsDir() {
			return os.Mkdir(filepath.Join(to, relative), info.Mode().Perm())
		}
		return copyFile(filepath.Join(to, relative), path, info.Mode().Perm())
	})
}

func copyFile(to, from string, mode fs.FileMode) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	if _, err := io.Copy(target, source); err != nil {
		target.Close()
		return err
	}
	return target.Close()
}

// flock locks a file until it is closed or this process ends.
func flock(path string, how int) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	for {
		err = syscall.Flock(int(f.Fd()), how)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return f, nil
}
