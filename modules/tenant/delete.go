package tenant

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
)

// batchSize keeps each transaction of a deletion short, so that it holds up nobody else.
const batchSize = 1000

// maxPasses bounds how often a deletion goes back for rows that work still under way added behind it.
const maxPasses = 5

// Delete removes a tenant and all of its rows in every table, and returns how many rows each had. The first transaction
// destroys the data key, refuses webhooks and empties the caches; then the rows go in batches. Deleting again goes on where
// an interrupted deletion stopped. The audit log stays until it expires.
func (m *Module) Delete(ctx context.Context, actor, id string) (map[string]int64, error) {
	err := m.write(ctx, actor, id, "tenant.delete", func(ctx context.Context, tx pgx.Tx) (any, error) {
		found, err := deleteRecord(ctx, tx, id)
		if err != nil {
			return nil, err
		}
		if found {
			return map[string]string{"data_key": "destroyed"}, nil
		}
		resumed, err := isDeleted(ctx, tx, id)
		if err != nil {
			return nil, err
		}
		if !resumed {
			return nil, errUnknown(id)
		}
		return nil, nil
	})
	if err != nil {
		return nil, err
	}
	return m.purge(ctx, actor, id)
}

// purge deletes what is left of a deleted tenant, until a whole pass finds nothing.
func (m *Module) purge(ctx context.Context, actor, id string) (map[string]int64, error) {
	var tables []tenantTable
	err := m.db.InTenantTx(ctx, id, func(ctx context.Context, tx pgx.Tx) (err error) {
		tables, err = readTenantTables(ctx, tx)
		return err
	})
	if err != nil {
		return nil, err
	}
	total := map[string]int64{}
	for range maxPasses {
		var found int64
		for _, table := range childrenFirst(tables) {
			n, err := m.purgeTable(ctx, table, id)
			if err != nil {
				return total, err
			}
			if n > 0 {
				total[table] += n
			}
			found += n
		}
		if found == 0 {
			break
		}
	}
	return total, m.db.InTenantTx(ctx, id, func(ctx context.Context, tx pgx.Tx) error {
		if len(total) > 0 {
			if err := insertAudit(ctx, tx, id, actor, "tenant.purge", map[string]any{"rows": total}); err != nil {
				return err
			}
		}
		return markPurged(ctx, tx, id)
	})
}

func (m *Module) purgeTable(ctx context.Context, table, id string) (total int64, err error) {
	for {
		var n int64
		err := m.db.InTenantTx(ctx, id, func(ctx context.Context, tx pgx.Tx) (err error) {
			n, err = deleteBatch(ctx, tx, table, id, batchSize)
			return err
		})
		if err != nil {
			return total, err
		}
		total += n
		if n == 0 {
			return total, nil
		}
	}
}

// childrenFirst orders tables so that one goes before those its foreign keys point at. Tables in a circle come last, as
// they are.
func childrenFirst(tables []tenantTable) []string {
	var ordered []string
	for len(tables) > 0 {
		referenced := map[string]bool{}
		for _, t := range tables {
			for _, name := range t.References {
				referenced[name] = true
			}
		}
		free := func(t tenantTable) bool { return !referenced[t.Name] }
		if !slices.ContainsFunc(tables, free) {
			free = func(tenantTable) bool { return true }
		}
		rest := []tenantTable{}
		for _, t := range tables {
			if free(t) {
				ordered = append(ordered, t.Name)
			} else {
				rest = append(rest, t)
			}
		}
		tables = rest
	}
	return ordered
}

// Tidy is the module's daily work: it deletes audit entries older than Config.AuditRetention, finishes deletions that were
// interrupted, removes rows that late work added to a deleted tenant, and forgets deleted tenants whose audit log is gone.
// It returns how many audit entries of which tenant it deleted; with dryRun it only counts them. One tenant's fault does not
// keep it from the others.
func (m *Module) Tidy(ctx context.Context, dryRun bool) (map[string]int64, error) {
	entries, err := m.directory(ctx)
	if err != nil {
		return nil, err
	}
	deleted := map[string]int64{}
	var errs []error
	for _, e := range entries {
		n, err := m.tidy(ctx, e, dryRun)
		if n > 0 {
			deleted[e.ID] = n
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("tidy tenant %s: %w", e.ID, err))
		}
	}
	return deleted, errors.Join(errs...)
}

func (m *Module) tidy(ctx context.Context, e directoryEntry, dryRun bool) (deleted int64, err error) {
	before := m.clock().Add(-m.cfg.AuditRetention)
	if dryRun {
		err := m.db.InTenantTx(ctx, e.ID, func(ctx context.Context, tx pgx.Tx) (err error) {
			deleted, err = countAudit(ctx, tx, e.ID, before)
			return err
		})
		return deleted, err
	}
	if e.DeletedAt != nil {
		if _, err := m.purge(ctx, "system", e.ID); err != nil {
			return 0, err
		}
	}
	for {
		var n int64
		err := m.db.InTenantTx(ctx, e.ID, func(ctx context.Context, tx pgx.Tx) (err error) {
			if n, err = deleteAuditBatch(ctx, tx, e.ID, before, batchSize); err != nil || n > 0 {
				return err
			}
			return forget(ctx, tx, e.ID)
		})
		deleted += n
		if err != nil || n == 0 {
			return deleted, err
		}
	}
}
