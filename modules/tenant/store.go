package tenant

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// channel carries the id of a tenant that was changed. It is heard when the transaction commits, and not before.
const channel = "tenant_changed"

// record is a row of tenant_configs, with its secrets sealed.
type record struct {
	TenantID          string     `db:"tenant_id"`
	Name              string     `db:"name"`
	Edition           string     `db:"edition"`
	ServiceDeskURL    string     `db:"servicedesk_url"`
	Settings          []byte     `db:"connection_settings"`
	DataKey           []byte     `db:"data_key_encrypted"`
	APIKey            []byte     `db:"servicedesk_api_key_encrypted"`
	WebhookSecret     []byte     `db:"webhook_signing_secret_encrypted"`
	PreviousSecret    []byte     `db:"webhook_signing_secret_previous_encrypted"`
	PreviousExpiresAt *time.Time `db:"webhook_signing_secret_previous_expires_at"`
	WebhookAuth       []string   `db:"webhook_auth"`
	Preferences       []byte     `db:"enhancement_preferences"`
	DisabledAt        *time.Time `db:"disabled_at"`
	Version           int64      `db:"version"`
	CreatedAt         time.Time  `db:"created_at"`
	UpdatedAt         time.Time  `db:"updated_at"`
}

const recordColumns = `
	tenant_id, name, edition, servicedesk_url, connection_settings, data_key_encrypted, servicedesk_api_key_encrypted,
	webhook_signing_secret_encrypted, webhook_signing_secret_previous_encrypted, webhook_signing_secret_previous_expires_at,
	webhook_auth, enhancement_preferences, disabled_at, version, created_at, updated_at`

const selectRecord = `SELECT ` + recordColumns + ` FROM tenant_configs WHERE tenant_id = $1`

// readRecordOr reads the tenant's row, or gets the decoy back from the database where there is none: a row costs some
// microseconds to send and to read, and a stranger with patience could measure them.
func readRecordOr(ctx context.Context, tx pgx.Tx, id string, decoy record) (record, error) {
	rows, err := tx.Query(ctx, `
		WITH found AS MATERIALIZED (`+selectRecord+`)
		SELECT `+recordColumns+` FROM found
		UNION ALL
		SELECT $2::text, $3::text, $4::text, $5::text, $6::jsonb, $7::bytea, $8::bytea, $9::bytea, $10::bytea, $11::timestamptz,
		       $12::text[], $13::jsonb, $14::timestamptz, $15::bigint, $16::timestamptz, $17::timestamptz
		WHERE NOT exists(SELECT 1 FROM found)`,
		id, decoy.TenantID, decoy.Name, decoy.Edition, decoy.ServiceDeskURL, decoy.Settings, decoy.DataKey, decoy.APIKey,
		decoy.WebhookSecret, decoy.PreviousSecret, decoy.PreviousExpiresAt, decoy.WebhookAuth, decoy.Preferences,
		decoy.DisabledAt, decoy.Version, decoy.CreatedAt, decoy.UpdatedAt)
	if err != nil {
		return record{}, fmt.Errorf("look up tenant: %w", err)
	}
	r, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[record])
	if err != nil {
		return record{}, fmt.Errorf("look up tenant: %w", err)
	}
	return r, nil
}

// readRecord reports whether there is a row.
func readRecord(ctx context.Context, tx pgx.Tx, id string, lock bool) (record, bool, error) {
	sql := selectRecord
	if lock {
		sql += ` FOR UPDATE`
	}
	rows, err := tx.Query(ctx, sql, id)
	if err != nil {
		return record{}, false, fmt.Errorf("read tenant: %w", err)
	}
	r, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[record])
	if errors.Is(err, pgx.ErrNoRows) {
		return record{}, false, nil
	}
	if err != nil {
		return record{}, false, fmt.Errorf("read tenant: %w", err)
	}
	return r, true, nil
}

// insertDirectory takes an id that was never used, or whose former tenant left nothing behind.
func insertDirectory(ctx context.Context, tx pgx.Tx, id string) (taken bool, err error) {
	tag, err := tx.Exec(ctx, `
		INSERT INTO tenant_directory AS d (id) VALUES ($1)
		ON CONFLICT (id) DO UPDATE SET created_at = now(), deleted_at = NULL, purged_at = NULL WHERE d.purged_at IS NOT NULL`, id)
	if err != nil {
		return false, fmt.Errorf("insert into tenant directory: %w", err)
	}
	return tag.RowsAffected() == 0, nil
}

func insertRecord(ctx context.Context, tx pgx.Tx, r *record) error {
	err := tx.QueryRow(ctx, `
		INSERT INTO tenant_configs (tenant_id, name, edition, servicedesk_url, connection_settings, data_key_encrypted,
			servicedesk_api_key_encrypted, webhook_signing_secret_encrypted, webhook_auth, enhancement_preferences)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
		RETURNING version, created_at, updated_at`,
		r.TenantID, r.Name, r.Edition, r.ServiceDeskURL, r.Settings, r.DataKey,
		r.APIKey, r.WebhookSecret, r.WebhookAuth, r.Preferences).Scan(&r.Version, &r.CreatedAt, &r.UpdatedAt)
	if err != nil {
		return fmt.Errorf("insert tenant: %w", err)
	}
	return nil
}

// updateRecord writes everything but the data key, which only a rotation of keys replaces. The row is locked by its reader.
func updateRecord(ctx context.Context, tx pgx.Tx, r *record) error {
	err := tx.QueryRow(ctx, `
		UPDATE tenant_configs SET name = $2, edition = $3, servicedesk_url = $4, connection_settings = $5,
			servicedesk_api_key_encrypted = $6, webhook_signing_secret_encrypted = $7,
			webhook_signing_secret_previous_encrypted = $8, webhook_signing_secret_previous_expires_at = $9,
			webhook_auth = $10, enhancement_preferences = $11, disabled_at = $12, version = version + 1, updated_at = now()
		WHERE tenant_id = $1 RETURNING version, updated_at`,
		r.TenantID, r.Name, r.Edition, r.ServiceDeskURL, r.Settings, r.APIKey, r.WebhookSecret, r.PreviousSecret,
		r.PreviousExpiresAt, r.WebhookAuth, r.Preferences, r.DisabledAt).Scan(&r.Version, &r.UpdatedAt)
	if err != nil {
		return fmt.Errorf("update tenant: %w", err)
	}
	return nil
}

func updateDataKey(ctx context.Context, tx pgx.Tx, id string, wrapped []byte) error {
	if _, err := tx.Exec(ctx, `UPDATE tenant_configs SET data_key_encrypted = $2 WHERE tenant_id = $1`, id, wrapped); err != nil {
		return fmt.Errorf("update data key: %w", err)
	}
	return nil
}

func notifyChanged(ctx context.Context, tx pgx.Tx, id string) error {
	if _, err := tx.Exec(ctx, `SELECT pg_notify($1, $2)`, channel, id); err != nil {
		return fmt.Errorf("notify of changed tenant: %w", err)
	}
	return nil
}

// directoryEntry is a row of tenant_directory.
type directoryEntry struct {
	ID        string     `db:"id"`
	DeletedAt *time.Time `db:"deleted_at"`
	PurgedAt  *time.Time `db:"purged_at"`
}

func readDirectory(ctx context.Context, tx pgx.Tx) ([]directoryEntry, error) {
	rows, err := tx.Query(ctx, `SELECT id, deleted_at, purged_at FROM tenant_directory ORDER BY id`)
	if err != nil {
		return nil, fmt.Errorf("read tenant directory: %w", err)
	}
	entries, err := pgx.CollectRows(rows, pgx.RowToStructByName[directoryEntry])
	if err != nil {
		return nil, fmt.Errorf("read tenant directory: %w", err)
	}
	return entries, nil
}

// deleteRecord destroys the tenant's data key together with its row, and leaves a mark in the directory.
func deleteRecord(ctx context.Context, tx pgx.Tx, id string) (found bool, err error) {
	tag, err := tx.Exec(ctx, `DELETE FROM tenant_configs WHERE tenant_id = $1`, id)
	if err != nil {
		return false, fmt.Errorf("delete tenant: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return false, nil
	}
	if _, err := tx.Exec(ctx, `UPDATE tenant_directory SET deleted_at = now(), purged_at = NULL WHERE id = $1`, id); err != nil {
		return false, fmt.Errorf("mark tenant as deleted: %w", err)
	}
	return true, nil
}

func isDeleted(ctx context.Context, tx pgx.Tx, id string) (bool, error) {
	var deleted bool
	err := tx.QueryRow(ctx, `SELECT exists(SELECT 1 FROM tenant_directory WHERE id = $1 AND deleted_at IS NOT NULL)`, id).Scan(&deleted)
	if err != nil {
		return false, fmt.Errorf("read tenant directory: %w", err)
	}
	return deleted, nil
}

func markPurged(ctx context.Context, tx pgx.Tx, id string) error {
	_, err := tx.Exec(ctx, `UPDATE tenant_directory SET purged_at = now() WHERE id = $1 AND deleted_at IS NOT NULL AND purged_at IS NULL`, id)
	if err != nil {
		return fmt.Errorf("mark tenant as purged: %w", err)
	}
	return nil
}

// forget drops the mark of a purged tenant of which no audit entry is left either.
func forget(ctx context.Context, tx pgx.Tx, id string) error {
	_, err := tx.Exec(ctx, `
		DELETE FROM tenant_directory WHERE id = $1 AND purged_at IS NOT NULL
			AND NOT exists(SELECT 1 FROM audit_log WHERE tenant_id = $1)`, id)
	if err != nil {
		return fmt.Errorf("forget tenant: %w", err)
	}
	return nil
}

// tenantTable is a table with a tenant_id, and the tables that its foreign keys point at.
type tenantTable struct {
	Name       string   `db:"name"`
	References []string `db:"refs"`
}

// readTenantTables asks the catalogue, so a table that somebody adds later cannot be forgotten. The audit log is left out.
func readTenantTables(ctx context.Context, tx pgx.Tx) ([]tenantTable, error) {
	rows, err := tx.Query(ctx, `
		SELECT c.relname::text AS name,
		       ARRAY(SELECT f.relname::text FROM pg_constraint k JOIN pg_class f ON f.oid = k.confrelid
		             WHERE k.conrelid = c.oid AND k.contype = 'f' AND f.oid <> c.oid) AS refs
		FROM pg_class c
		JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped
		WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relnamespace = current_schema()::regnamespace
		  AND c.relname <> 'audit_log'
		ORDER BY c.relname`)
	if err != nil {
		return nil, fmt.Errorf("list tenant tables: %w", err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowToStructByName[tenantTable])
	if err != nil {
		return nil, fmt.Errorf("list tenant tables: %w", err)
	}
	return tables, nil
}

// deleteBatch removes up to limit rows of the tenant from a table that the catalogue named. It asks the directory in the same
// statement: once the id belongs to a new tenant, not one of that tenant's rows is in its sight.
func deleteBatch(ctx context.Context, tx pgx.Tx, table, id string, limit int) (int64, error) {
	name := pgx.Identifier{table}.Sanitize()
	tag, err := tx.Exec(ctx, `
		DELETE FROM `+name+` WHERE tenant_id = $1
			AND ctid = ANY (ARRAY(SELECT ctid FROM `+name+` WHERE tenant_id = $1 LIMIT $2))
			AND exists(SELECT 1 FROM tenant_directory WHERE id = $1 AND deleted_at IS NOT NULL)`, id, limit)
	if err != nil {
		return 0, fmt.Errorf("delete from %s: %w", table, err)
	}
	return tag.RowsAffected(), nil
}

func insertAudit(ctx context.Context, tx pgx.Tx, id, actor, action string, detail any) error {
	encoded, err := json.Marshal(detail)
	if err != nil {
		return fmt.Errorf("encode audit detail: %w", err)
	}
	_, err = tx.Exec(ctx, `INSERT INTO audit_log (tenant_id, actor, action, detail) VALUES ($1, $2, $3, $4)`, id, actor, action, encoded)
	if err != nil {
		return fmt.Errorf("insert audit entry: %w", err)
	}
	return nil
}

func selectAudit(ctx context.Context, tx pgx.Tx, id string, f AuditFilter) ([]AuditEntry, error) {
	rows, err := tx.Query(ctx, `
		SELECT id::text AS id, at, actor, action, detail FROM audit_log
		WHERE tenant_id = $1 AND ($2 = '' OR actor = $2 OR starts_with(actor, $2 || ':')) AND ($3 = '' OR action = $3)
		  AND ($4::timestamptz IS NULL OR at >= $4) AND ($5::timestamptz IS NULL OR at < $5)
		  AND ($7::timestamptz IS NULL OR (at, audit_log.id) < ($7, $8::uuid))
		ORDER BY at DESC, audit_log.id DESC LIMIT $6`, id, f.Actor, f.Action, orNull(f.Since), orNull(f.Until), f.Limit,
		orNull(f.AfterAt), orNone(f.AfterID))
	if err != nil {
		return nil, fmt.Errorf("read audit log: %w", err)
	}
	entries, err := pgx.CollectRows(rows, pgx.RowToStructByName[AuditEntry])
	if err != nil {
		return nil, fmt.Errorf("read audit log: %w", err)
	}
	return entries, nil
}

func countAudit(ctx context.Context, tx pgx.Tx, id string, before time.Time) (n int64, err error) {
	err = tx.QueryRow(ctx, `SELECT count(*) FROM audit_log WHERE tenant_id = $1 AND at < $2`, id, before).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count old audit entries: %w", err)
	}
	return n, nil
}

func deleteAuditBatch(ctx context.Context, tx pgx.Tx, id string, before time.Time, limit int) (int64, error) {
	tag, err := tx.Exec(ctx, `
		DELETE FROM audit_log WHERE tenant_id = $1
			AND ctid = ANY (ARRAY(SELECT ctid FROM audit_log WHERE tenant_id = $1 AND at < $2 LIMIT $3))`, id, before, limit)
	if err != nil {
		return 0, fmt.Errorf("delete old audit entries: %w", err)
	}
	return tag.RowsAffected(), nil
}

func orNone(id string) *string {
	if id == "" {
		return nil
	}
	return &id
}

func orNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
