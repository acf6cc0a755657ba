package notifier

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
)

// lineageAge is how long a process may act on what it last read about the database's identity.
const lineageAge = 2 * time.Second

// lineage is what this process last read.
type lineage struct {
	mu       sync.Mutex
	seen     time.Time
	restored time.Time
	warned   atomic.Bool
}

// looksFirst reports whether a ticket must be looked at before its first note request: the operator said so, or the database
// was restored or failed over lately. Such a database may have forgotten notes, and whole runs with them.
func (m *Module) looksFirst(ctx context.Context, r PostRequest) bool {
	if r.VerifyFirst || m.config.VerifyBeforePost {
		return true
	}
	at, ok, err := m.Restored(ctx)
	if err != nil && !m.lineage.warned.Swap(true) {
		m.deps.Logger.WarnContext(ctx, "the database's identity cannot be read; after a restore set notifier.verify_before_post", "error", err)
	}
	return ok && m.clock().Sub(at) < m.config.VerifyAfterRestore
}

// Restored tells when the database was last found to be another one than before: restored from a backup, or failed over. The
// error is of a server that does not tell its identity, or is away; then what was last known is returned.
func (m *Module) Restored(ctx context.Context) (at time.Time, ok bool, err error) {
	l := &m.lineage
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := m.clock(); now.Sub(l.seen) > lineageAge || now.Before(l.seen) {
		var changed time.Time
		if changed, err = m.store.lineage(ctx); err == nil {
			l.seen, l.restored = now, changed
		}
	}
	return l.restored, !l.restored.IsZero(), err
}

// lineage compares the database's identity with the one that it remembers, and returns when it last changed.
func (s store) lineage(ctx context.Context) (changed time.Time, err error) {
	err = s.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		var now, known string
		var at *time.Time
		err := tx.QueryRow(ctx, `
			SELECT (SELECT system_identifier FROM pg_control_system())::text || '/' ||
			       (SELECT oid FROM pg_database WHERE datname = current_database())::text || '/' ||
			       substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8),
			       coalesce((SELECT lineage FROM database_lineage), ''), (SELECT changed_at FROM database_lineage)`).Scan(&now, &known, &at)
		if err != nil {
			return fmt.Errorf("read lineage: %w", err)
		}
		if now != known {
			// A database that remembers none is new, and has forgotten nothing.
			err := tx.QueryRow(ctx, `
				INSERT INTO database_lineage AS l (lineage) VALUES ($1)
				ON CONFLICT (single) DO UPDATE
				SET lineage = $1, changed_at = CASE WHEN l.lineage = $1 THEN l.changed_at ELSE now() END
				RETURNING changed_at`, now).Scan(&at)
			if err != nil {
				return fmt.Errorf("remember lineage: %w", err)
			}
		}
		if at != nil {
			changed = *at
		}
		return nil
	})
	return changed, err
}
