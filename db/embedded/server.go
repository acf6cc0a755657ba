package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Options choose where the server lives. The zero value is complete.
type Options struct {
	// DataDir keeps the data between runs; "" is the folder postgres in [DefaultDir].
	DataDir string
	// BinaryDir holds the server programs to use; "" looks for installed ones and fetches them where there are none.
	BinaryDir string
	// BinaryRepositoryURL is the Maven repository that binaries are fetched from; "" is Maven Central.
	BinaryRepositoryURL string
	// CacheDir keeps fetched binaries; "" is the folder binaries in [DefaultDir].
	CacheDir string
	// Throwaway trades durability for speed: for tests, whose data nobody needs after a crash of the machine.
	Throwaway bool
	// Settings are server parameters such as "timezone=UTC", stronger than this package's own.
	Settings []string
	// Logger gets what operators should know; nil discards it.
	Logger *slog.Logger
	// Progress gets lines for a person while something takes long; nil discards them.
	Progress io.Writer

	// installed replaces the search of the machine in this package's tests.
	installed func() []string
}

// Server is a running Postgres server.
type Server struct {
	dir       string
	port      int
	binaries  binaries
	account   account
	passwords credentials
	lock      *os.File
	log       *os.File
	process   *postmaster
	logger    *slog.Logger

	stopOnce sync.Once
	stopping chan struct{}
	watching sync.WaitGroup
}

// Start runs a server on the data folder and returns once it takes
// connections. A folder that another process uses gives an [InUseError]. The
// context bounds the start, not the server's life: [Server.Stop] ends that.
func Start(ctx context.Context, o Options) (*Server, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Server{dir: o.DataDir, account: serverAccount(), logger: o.Logger, stopping: make(chan struct{})}
	if err := prepareFolder(s.dir, s.account); err != nil {
		return nil, err
	}
	if s.lock, err = lockDataDir(s.dir); err != nil {
		return nil, err
	}
	if err := s.start(ctx, o); err != nil {
		s.release()
		return nil, err
	}
	s.watching.Go(s.reportDeath)
	return s, nil
}

// Version tells which version a new cluster would get, and fetches it where it is missing.
func Version(ctx context.Context, o Options) (string, error) {
	o, err := o.withDefaults()
	if err != nil {
		return "", err
	}
	b, err := chooseBinaries(ctx, serverAccount(), o, 0)
	return b.version(), err
}

func (o Options) withDefaults() (Options, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	if o.installed == nil {
		o.installed = installedDirs
	}
	for _, dir := range []struct {
		path *string
		name string
	}{{&o.DataDir, "postgres"}, {&o.CacheDir, "binaries"}} {
		if *dir.path == "" {
			base, err := DefaultDir()
			if err != nil {
				return o, err
			}
			*dir.path = filepath.Join(base, dir.name)
		}
		absolute, err := filepath.Abs(*dir.path)
		if err != nil {
			return o, fmt.Errorf("find folder: %w", err)
		}
		*dir.path = absolute
	}
	return o, nil
}

// start does everything that needs the lock. On failure nothing runs.
func (s *Server) start(ctx context.Context, o Options) error {
	data := s.data()
	major, err := clusterMajor(data)
	if err != nil {
		return err
	}
	if s.binaries, err = chooseBinaries(ctx, s.account, o, major); err != nil {
		return err
	}
	if err := clearPredecessor(ctx, data); err != nil {
		return err
	}
	if major == 0 {
		fmt.Fprintf(o.Progress, "Setting up Postgres %s\n", s.binaries)
		if err := initCluster(ctx, s.account, s.binaries, s.dir, data, o.Throwaway); err != nil {
			return err
		}
	}
	if err := s.account.own(data); err != nil {
		return fmt.Errorf("give data to user %s: %w", s.account.name, err)
	}
	if s.passwords, err = readCredentials(data); err != nil {
		return err
	}
	if err := s.launch(ctx, o); err != nil {
		return err
	}
	if err := ensureRoles(ctx, s.passwords, s.port); err != nil {
		s.process.stop(context.WithoutCancel(ctx))
		return err
	}
	s.logger.Info("embedded Postgres started", "version", s.Version(), "data_dir", s.dir, "port", s.port, "pid", s.process.Pid)
	return nil
}

// launchAttempts bounds how often a start is repeated when the chosen port was
// taken meanwhile, or when the last processes of a killed server still hold
// its memory.
const launchAttempts = 5

func (s *Server) launch(ctx context.Context, o Options) error {
	path := filepath.Join(s.dir, "postgres.log")
	flags := os.O_CREATE | os.O_RDWR | os.O_APPEND
	if info, err := os.Stat(path); err == nil && info.Size() > 10<<20 {
		flags |= os.O_TRUNC
	}
	var err error
	if s.log, err = os.OpenFile(path, flags, 0o600); err != nil {
		return fmt.Errorf("open log of the server: %w", err)
	}
	begin, err := s.log.Seek(0, io.SeekEnd)
	if err != nil {
		return fmt.Errorf("open log of the server: %w", err)
	}
	for range launchAttempts {
		if s.port, err = freePort(); err != nil {
			return err
		}
		s.process, err = startPostmaster(s.account, s.binaries, s.data(), s.log, s.settings(o))
		if err != nil {
			return err
		}
		if err = s.process.ready(ctx); err == nil {
			return nil
		}
		s.process.stop(context.WithoutCancel(ctx))
		if !errors.Is(err, errEnded) {
			break
		}
		select {
		case <-ctx.Done():
		case <-time.After(200 * time.Millisecond):
		}
	}
	return fmt.Errorf("%w; the end of %s says:\n%s", err, path, tail(s.log, begin))
}

// settings are the server's parameters; of two with one name, the later counts.
func (s *Server) settings(o Options) []string {
	set := []string{
		"listen_addresses=127.0.0.1",
		"unix_socket_directories=", // their paths are limited to about 100 characters
		fmt.Sprintf("port=%d", s.port),
		"timezone=UTC", "log_timezone=UTC",
		"dynamic_shared_memory_type=mmap", // keeps the memory of a killed server inside the data folder
		"password_encryption=scram-sha-256",
	}
	if o.Throwaway {
		set = append(set, "fsync=off", "synchronous_commit=off", "full_page_writes=off", "shared_buffers=32MB", "wal_level=minimal",
			"max_wal_senders=0", "autovacuum=off", "jit=off", "max_parallel_workers_per_gather=0")
	}
	return append(set, o.Settings...)
}

// reportDeath says so when the server ends unasked.
func (s *Server) reportDeath() {
	select {
	case <-s.stopping:
	case <-s.process.done:
		s.logger.Error("embedded Postgres ended by itself", "error", s.process.err, "log", s.log.Name())
	}
}

// Stop ends the server and frees the data folder. When ctx ends first, it no
// longer waits for the server's orderly end but kills it; the next start then
// recovers. A second call does nothing.
func (s *Server) Stop(ctx context.Context) {
	s.stopOnce.Do(func() {
		close(s.stopping)
		s.watching.Wait()
		s.process.stop(ctx)
		s.release()
		s.logger.Info("embedded Postgres stopped", "data_dir", s.dir)
	})
}

// release gives back what the server holds besides its process.
func (s *Server) release() {
	if s.log != nil {
		s.log.Close()
	}
	s.lock.Close()
}

// OwnerURL connects as the role that owns the database and migrates it.
func (s *Server) OwnerURL() string { return s.passwords.url(ownerRole, database, s.port) }

// AppURL connects as the role that owns nothing and is subject to row-level security.
func (s *Server) AppURL() string { return s.passwords.url(appRole, database, s.port) }

// AdminURL connects as the superuser, to the database postgres.
func (s *Server) AdminURL() string { return s.passwords.url(adminRole, "postgres", s.port) }

// DataDir is the folder that keeps the data.
func (s *Server) DataDir() string { return s.dir }

// Version is the server's version, such as 18.3.
func (s *Server) Version() string { return s.binaries.version() }

func (s *Server) data() string { return filepath.Join(s.dir, "cluster") }

// freePort asks the kernel for a port. Somebody may take it before the server does; launch then tries another.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// tail returns the last lines that the server logged since begin.
func tail(log *os.File, begin int64) string {
	content, err := io.ReadAll(io.NewSectionReader(log, begin, 1<<20))
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(content)), "\n")
	return strings.Join(lines[max(0, len(lines)-10):], "\n")
}
