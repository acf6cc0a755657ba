package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"aiagents/db/embedded"
	"aiagents/internal/harness"
)

// postgres is a real server with full durability that can be crashed and started again.
type postgres struct {
	dir  string
	link *link
	mu   sync.Mutex // one crash at a time
	up   sync.RWMutex
	srv  *embedded.Server
}

func startPostgres(ctx context.Context, dir string) (*postgres, error) {
	p := &postgres{dir: dir}
	if err := p.start(ctx); err != nil {
		return nil, err
	}
	var err error
	p.link, err = newLink("postgres", p.address())
	return p, err
}

func (p *postgres) start(ctx context.Context) error {
	srv, err := embedded.Start(ctx, embedded.Options{DataDir: p.dir, Settings: []string{
		"max_connections=150", "max_wal_size=256MB", "log_min_messages=fatal",
	}})
	if err != nil {
		return fmt.Errorf("start Postgres: %w", err)
	}
	p.up.Lock()
	p.srv = srv
	p.up.Unlock()
	return nil
}

func (p *postgres) server() *embedded.Server {
	p.up.RLock()
	defer p.up.RUnlock()
	return p.srv
}

func (p *postgres) address() string {
	u, err := url.Parse(p.server().AppURL())
	if err != nil {
		return ""
	}
	return u.Host
}

// linked is the URL of a role through the link that faults strike.
func (p *postgres) linked(direct string) string {
	u, err := url.Parse(direct)
	if err != nil {
		return direct
	}
	u.Host = p.link.addr()
	return u.String()
}

// crash stops the server like `pg_ctl stop -m immediate` and starts it again after down. The next start recovers from the
// write-ahead log. It ends once the server takes connections.
func (p *postgres) crash(ctx context.Context, down time.Duration) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	// Without its pid file the server has ended already, for lack of space for example.
	if content, err := os.ReadFile(filepath.Join(p.dir, "cluster", "postmaster.pid")); err == nil {
		first, _, _ := strings.Cut(string(content), "\n")
		pid, err := strconv.Atoi(strings.TrimSpace(first))
		if err != nil {
			return fmt.Errorf("find the server's process: %w", err)
		}
		if err := syscall.Kill(pid, syscall.SIGQUIT); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("crash Postgres: %w", err)
		}
	}
	p.server().Stop(ctx)
	harness.Pause(ctx, down)
	if err := p.start(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	return p.link.point(p.address())
}

// query runs one statement as the superuser, past the link, and collects its rows. It waits out a crash.
func query[T any](ctx context.Context, p *postgres, sql string, args ...any) ([]T, error) {
	for {
		rows, err := queryOnce[T](ctx, p, sql, args...)
		if err == nil || ctx.Err() != nil {
			return rows, err
		}
		if !away(err) {
			return nil, err
		}
		harness.Pause(ctx, 50*time.Millisecond)
	}
}

func queryOnce[T any](ctx context.Context, p *postgres, sql string, args ...any) ([]T, error) {
	conn, err := p.connect(ctx)
	if err != nil {
		return nil, awayError{err}
	}
	defer conn.Close(context.WithoutCancel(ctx))
	rows, err := conn.Query(ctx, sql, args...)
	if err == nil {
		var out []T
		if out, err = pgx.CollectRows(rows, pgx.RowToStructByName[T]); err == nil {
			return out, nil
		}
	}
	if conn.IsClosed() {
		return nil, awayError{err}
	}
	return nil, fmt.Errorf("query: %w", err)
}

func (p *postgres) connect(ctx context.Context) (*pgx.Conn, error) {
	u, err := url.Parse(p.server().AdminURL())
	if err != nil {
		return nil, fmt.Errorf("parse URL: %w", err)
	}
	u.Path = "aiagents"
	return pgx.Connect(ctx, u.String())
}

// exec runs statements as the superuser.
func (p *postgres) exec(ctx context.Context, sql string) error {
	conn, err := p.connect(ctx)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, sql); err != nil {
		return fmt.Errorf("exec: %w", err)
	}
	return nil
}

func (p *postgres) stop(ctx context.Context) {
	p.link.close()
	p.server().Stop(ctx)
}

// awayError says that the server was not there, so that the same statement may be tried again.
type awayError struct{ error }

func away(err error) bool {
	var a awayError
	return errors.As(err, &a)
}
