package db

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/exaring/otelpgx"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"aiagents/internal/fault"
)

// Config sizes the pool.
type Config struct {
	MinConns int32 `yaml:"min_conns"`
	MaxConns int32 `yaml:"max_conns"`
	// StatementTimeout ends any statement that runs longer, so that one bad query cannot hold the pool.
	StatementTimeout time.Duration `yaml:"statement_timeout"`
	// Tracer sees every statement; nil makes spans of them.
	Tracer pgx.QueryTracer `yaml:"-"`
}

// DefaultConfig is 5 to 20 connections, and 30 s a statement.
func DefaultConfig() Config {
	return Config{MinConns: 5, MaxConns: 20, StatementTimeout: 30 * time.Second}
}

// Validate names every fault of the configuration.
func (c Config) Validate() []string {
	var faults []string
	if c.MinConns < 0 {
		faults = append(faults, "database.min_conns: must be 0 or more")
	}
	if c.MaxConns < 2 {
		faults = append(faults, "database.max_conns: must be 2 or more (River's listener holds one)")
	}
	if c.MinConns > c.MaxConns {
		faults = append(faults, "database.min_conns: must not exceed database.max_conns")
	}
	if c.StatementTimeout < time.Second {
		faults = append(faults, "database.statement_timeout: must be 1s or more")
	}
	return faults
}

// DB is a pool of connections of the application role. The pool itself stays private: transactions come from
// InTenantTx and InTx only.
type DB struct {
	pool *pgxpool.Pool
}

// Open connects and checks that the server answers.
func Open(ctx context.Context, url string, cfg Config) (*DB, error) {
	pc, err := pgxpool.ParseConfig(url)
	if err != nil {
		// The error of pgx masks the password, but not a malformed URL's own text, so the cause is dropped.
		return nil, fault.New(fault.Invalid, "the database URL cannot be read: expected postgres://user:password@host:port/database")
	}
	pc.MinConns = cfg.MinConns
	pc.MaxConns = cfg.MaxConns
	pc.MaxConnIdleTime = 5 * time.Minute
	pc.MaxConnLifetime = time.Hour
	pc.MaxConnLifetimeJitter = 5 * time.Minute
	pc.ConnConfig.ConnectTimeout = 5 * time.Second
	pc.ConnConfig.Tracer = cfg.Tracer
	if cfg.Tracer == nil {
		pc.ConnConfig.Tracer = otelpgx.NewTracer(otelpgx.WithDisableSQLStatementInAttributes())
	}
	set := func(key, value string) {
		if _, ok := pc.ConnConfig.RuntimeParams[key]; !ok {
			pc.ConnConfig.RuntimeParams[key] = value
		}
	}
	set("application_name", "aiagents")
	set("statement_timeout", fmt.Sprint(cfg.StatementTimeout.Milliseconds()))
	set("lock_timeout", "5000")
	set("idle_in_transaction_session_timeout", "15000")
	dialer := &net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}
	pc.ConnConfig.DialFunc = dialer.DialContext
	pool, err := pgxpool.NewWithConfig(ctx, pc)
	if err != nil {
		return nil, fmt.Errorf("open pool: %w", err)
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, fault.Wrap(fault.Unavailable, err, "the database cannot be reached")
	}
	return &DB{pool: pool}, nil
}

// Pool gives the pool to River's driver and to LISTEN loops, which manage connections of their own. Queries of modules
// go through InTenantTx and InTx.
func (d *DB) Pool() *pgxpool.Pool { return d.pool }

// Ping checks that a connection can be had and answers.
func (d *DB) Ping(ctx context.Context) error {
	if err := d.pool.Ping(ctx); err != nil {
		return fault.Wrap(fault.Unavailable, err, "the database cannot be reached")
	}
	return nil
}

// Close gives every connection back and waits for those in use.
func (d *DB) Close() { d.pool.Close() }
