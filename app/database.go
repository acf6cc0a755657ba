package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"aiagents/db"
	"aiagents/db/embedded"
	"aiagents/internal/fault"
	"aiagents/internal/keyring"
)

// database is an open pool, and the embedded server behind it where we started one.
type database struct {
	*db.DB
	embedded *embedded.Server
	appURL   string
	ownerURL string
	dataDir  string
}

// openDatabase connects to the configured database. In development without one it starts the embedded Postgres and brings
// its schema up to date. A command may join the server that a role runs; a role insists on being its only owner, because
// the server ends with its owner.
func openDatabase(ctx context.Context, cfg Config, join bool, logger *slog.Logger, progress io.Writer) (*database, error) {
	if cfg.Database.URL.IsSet() {
		d, err := db.Open(ctx, cfg.Database.URL.Reveal(), cfg.Database.Config)
		if err != nil {
			return nil, err
		}
		return &database{DB: d, appURL: cfg.Database.URL.Reveal(), ownerURL: cfg.migrationURL()}, nil
	}
	if !cfg.development() {
		return nil, fault.New(fault.Invalid, "no database: set AI_AGENTS_DATABASE_URL")
	}
	return openEmbedded(ctx, cfg, join, logger, progress)
}

func openEmbedded(ctx context.Context, cfg Config, join bool, logger *slog.Logger, progress io.Writer) (*database, error) {
	options := embedded.Options{Logger: logger, Progress: progress}
	if cfg.DataDir != "" {
		options.DataDir = filepath.Join(cfg.DataDir, "postgres")
	}
	var out *database
	server, err := embedded.Start(ctx, options)
	var busy *embedded.InUseError
	switch {
	case err == nil:
		out = &database{embedded: server, appURL: server.AppURL(), ownerURL: server.OwnerURL(), dataDir: server.DataDir()}
	case join && errors.As(err, &busy):
		running, jerr := embedded.Join(ctx, options)
		if jerr != nil {
			return nil, errors.Join(err, jerr)
		}
		out = &database{appURL: running.AppURL, ownerURL: running.OwnerURL, dataDir: running.DataDir}
	default:
		return nil, fault.Wrap(fault.Unavailable, err, "the embedded Postgres cannot start")
	}
	if _, err := db.MigrateUp(ctx, out.ownerURL, out.appURL, logger); err != nil {
		out.close(ctx)
		return nil, fmt.Errorf("migrate the embedded Postgres: %w", err)
	}
	if out.DB, err = db.Open(ctx, out.appURL, cfg.Database.Config); err != nil {
		out.close(ctx)
		return nil, err
	}
	return out, nil
}

// close gives the pool back first: a server that stops under open connections waits for them.
func (d *database) close(ctx context.Context) {
	if d.DB != nil {
		d.Close()
	}
	if d.embedded != nil {
		d.embedded.Stop(ctx)
	}
}

// guard refuses a database that does not isolate tenants. In development a warning is enough: there the owner's role may be
// the only one.
func (d *database) guard(ctx context.Context, cfg Config, logger *slog.Logger) error {
	schema, err := d.SchemaStatus(ctx)
	if err != nil {
		return err
	}
	if schema.Behind() {
		return fault.Newf(fault.Conflict, "the schema is at %d and this program needs %d: run `aiagents migrate up`", schema.Current, schema.Latest)
	}
	for _, check := range []func(context.Context) error{d.CheckRole, d.CheckPolicies} {
		err := check(ctx)
		switch {
		case err == nil:
		case cfg.development():
			logger.WarnContext(ctx, "tenants are not isolated by the database", "error", err)
		default:
			return err
		}
	}
	return nil
}

// openKeyring returns the configured keyring. Development without one keeps a key of its own beside its database.
func openKeyring(cfg Config, d *database) (*keyring.Keyring, error) {
	text := cfg.Encryption.Keys.Reveal()
	if text == "" {
		dir := cfg.DataDir
		if d.dataDir != "" {
			dir = d.dataDir
		}
		if dir == "" {
			return nil, fault.New(fault.Invalid, "no encryption keys: set AI_AGENTS_ENCRYPTION_KEYS, for example k1:$(openssl rand -base64 32)")
		}
		var err error
		if text, err = developmentKey(filepath.Join(dir, "encryption.keys")); err != nil {
			return nil, err
		}
	}
	keys, err := keyring.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("encryption keys: %w", err)
	}
	return keys, nil
}

// developmentKey reads the key file, or makes it. O_EXCL decides between two first starts at once.
func developmentKey(file string) (string, error) {
	content, err := os.ReadFile(file)
	if err == nil {
		return string(content), nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read development key: %w", err)
	}
	random := make([]byte, 32)
	_, _ = rand.Read(random) // never fails, see crypto/rand
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return developmentKey(file)
	}
	if err != nil {
		return "", fmt.Errorf("make development key: %w", err)
	}
	text := newKeyText(random)
	_, werr := f.WriteString(text)
	if err := errors.Join(werr, f.Close()); err != nil {
		return "", fmt.Errorf("make development key: %w", err)
	}
	return text, nil
}
