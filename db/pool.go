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
	"aiagents/internal/secret"
)

// Config sizes the pool.
type Config struct {
	MinConns int32 `yaml:"min_conns"`
	MaxConns int32 `yaml:"max_conns"`
	// StatementTimeout ends any statement that runs longer, so that one bad query cannot hold the pool.
	StatementTimeout time.Duration `yaml:"statement_timeout"`
	// ListenURL reaches the server past a pooler that lends a connection for one transaction at a time. Setting it says that
	// the pool's own connections go through such a pooler.
	ListenURL secret.Secret `yaml:"listen_url"`
	// Tracer sees every statement; nil makes spans of them.
	Tracer pgx.QueryTracer `yaml:"-"`
}

// The limits that every connection works under. They bound what a client that vanished may hold up.
const (
	lockTimeout   = "5000"
	idleTxTimeout = "15000"
)

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
	pool   *pgxpool.Pool
	direct *pgxpool.Pool // for LISTEN; nil where pool itself is direct
	limits string        // statement_timeout to set in each transaction; empty where connections have it
}

// Open connects and checks that the server answers.
func Open(ctx context.Context, url string, cfg Config) (*DB, error) {
	pc, err := poolConfig(url, cfg)
	if err != nil {
		return nil, err
	}
	d := &DB{}
	if cfg.ListenURL.IsSet() {
		throughPooler(pc)
		d.limits = fmt.Sprint(cfg.StatementTimeout.Milliseconds())
		direct, err := poolConfig(cfg.ListenURL.Reveal(), cfg)
		if err != nil {
			return nil, err
		}
		// Who listens takes a connection out of the pool for good, so none is kept waiting.
		direct.MinConns, direct.MaxConns = 0, 4
		if d.direct, err = openPool(ctx, direct); err != nil {
			return nil, fmt.Errorf("past the pooler: %w", err)
		}
	}
	if d.pool, err = openPool(ctx, pc); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

func poolConfig(url string, cfg Config) (*pgxpool.Config, error) {
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
	for key, value := range map[string]string{
		"application_name": "aiagents", "statement_timeout": fmt.Sprint(cfg.StatementTimeout.Milliseconds()),
		"lock_timeout": lockTimeout, "idle_in_transaction_session_timeout": idleTxTimeout,
	} {
		if _, ok := pc.ConnConfig.RuntimeParams[key]; !ok {
			pc.ConnConfig.RuntimeParams[key] = value
		}
	}
	dialer := &net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}
	pc.ConnConfig.DialFunc = dialer.DialContext
	return pc, nil
}

// throughPooler leaves nothing on a connection that the next transaction, on another one, would miss: no prepared statement
// by name, and no parameter of the session, which poolers refuse; transactions set their limits themselves.
func throughPooler(pc *pgxpool.Config) {
	pc.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	for _, key := range []string{"statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"} {
		delete(pc.ConnConfig.RuntimeParams, key)
	}
}

func openPool(ctx context.Context, pc *pgxpool.Config) (*pgxpool.Pool, error) {
	pool, err := pgxpool.NewWithConfig(ctx, pc)
	if err != nil {
		return nil, fmt.Errorf("open pool: %w", err)
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, fault.Wrap(fault.Unavailable, err, "the database cannot be reached")
	}
	return pool, nil
}

// Pool gives the pool to River's driver, which manages connections of its own. Queries of modules go through InTenantTx and
// InTx.
func (d *DB) Pool() *pgxpool.Pool { return d.pool }

// ListenPool gives connections that stay on one session of the server, for LISTEN: past the pooler where there is one.
func (d *DB) ListenPool() *pgxpool.Pool {
	if d.direct != nil {
		return d.direct
	}
	return d.pool
}

// Ping checks that a connection can be had and answers.
func (d *DB) Ping(ctx context.Context) error {
	if err := d.pool.Ping(ctx); err != nil {
		return fault.Wrap(fault.Unavailable, err, "the database cannot be reached")
	}
	return nil
}

// Close gives every connection back and waits for those in use.
func (d *DB) Close() {
	for _, pool := range []*pgxpool.Pool{d.pool, d.direct} {
		if pool != nil {
			pool.Close()
		}
	}
}
