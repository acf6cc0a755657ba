package systems

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/jackc/pgx/v5"
)

// entry is one row of the inventory.
type entry struct {
	ID          string
	IPAddress   *netip.Prefix
	Hostname    string
	HostnameKey string
	Role        string
	Location    string
	Metadata    map[string]string
	MACKey      string `db:"mac_key"`
	Retired     bool
}

func (e entry) isNetwork() bool { return e.IPAddress != nil && !e.IPAddress.IsSingleIP() }

const (
	selectEntry = `
		SELECT id::text AS id, ip_address, hostname, hostname_key, role, location, metadata, coalesce(mac_key, '') AS mac_key,
		       deleted_at IS NOT NULL AS retired
		FROM system_inventory
		WHERE tenant_id = $1 AND `

	// Each key is looked up by itself. With "= ANY" the planner, as long as a fresh import has no statistics, prefers to
	// read all rows of the tenant.
	byKeys = `SELECT e.* FROM unnest($2::text[]) AS q (key) CROSS JOIN LATERAL (` + selectEntry

	// The networks around an address are asked for by name, one prefix a length: equality keeps its index under row-level
	// security, and finds all of them whatever else the inventory holds.
	byAddress = `SELECT e.* FROM unnest($2::inet[]) AS q (key) CROSS JOIN LATERAL (` +
		selectEntry + `ip_address = q.key LIMIT 20) AS e`

	byMAC       = byKeys + `mac_key = q.key LIMIT 20) AS e`
	byHostname  = byKeys + `hostname_key = q.key LIMIT 20) AS e`
	byShortName = byKeys + `short_name_key = q.key LIMIT 20) AS e`

	// The addresses of a network are one range of the index. A larger network at its first address sorts before the range.
	withinNetwork = selectEntry + `ip_address >= $2::inet AND ip_address <= $3::inet AND deleted_at IS NULL
		ORDER BY ip_address LIMIT 10`

	// familiarStems keeps the stems under which the tenant has a host. The ends of the ranges are parameters: "stem || '~'"
	// is not leakproof.
	familiarStems = `
		SELECT s.first FROM unnest($2::text[], $3::text[]) AS s (first, last)
		CROSS JOIN LATERAL (SELECT 1 FROM system_inventory i
		                    WHERE i.tenant_id = $1 AND i.short_name_key >= s.first AND i.short_name_key < s.last LIMIT 1) AS e`

	// What was imported is never overwritten by the desk's assets; an import takes a row of theirs over.
	upsertHosts = `
		INSERT INTO system_inventory AS s
		       (tenant_id, ip_address, hostname, hostname_key, short_name_key, mac_key, role, location, metadata, source)
		SELECT $1, h.ip_address, h.hostname, h.hostname_key, h.short_name_key, nullif(h.mac_key, ''), h.role, h.location, h.metadata::jsonb, $10
		FROM unnest($2::inet[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[])
		     AS h (ip_address, hostname, hostname_key, short_name_key, mac_key, role, location, metadata)
		ON CONFLICT (tenant_id, hostname_key, ip_address) DO UPDATE
		SET hostname = excluded.hostname, mac_key = excluded.mac_key, role = excluded.role, location = excluded.location,
		    metadata = excluded.metadata, source = excluded.source, updated_at = now(), deleted_at = NULL
		WHERE (excluded.source = 'import' OR s.source <> 'import')
		  AND ((s.hostname, s.mac_key, s.role, s.location, s.metadata, s.source)
		       IS DISTINCT FROM (excluded.hostname, excluded.mac_key, excluded.role, excluded.location, excluded.metadata, excluded.source)
		    OR s.deleted_at IS NOT NULL)
		RETURNING xmax = 0 AS added`

	liveHosts = `
		SELECT id::text AS id, ip_address, hostname_key
		FROM system_inventory
		WHERE tenant_id = $1 AND deleted_at IS NULL AND updated_at < $2 AND id > $3::uuid AND source = $4
		ORDER BY id LIMIT 1000`

	retireHosts = `
		UPDATE system_inventory SET deleted_at = now(), updated_at = now()
		WHERE tenant_id = $1 AND id = ANY($2::text[]::uuid[]) AND deleted_at IS NULL AND updated_at < $3`

	countRetired = `SELECT count(*) FROM system_inventory WHERE tenant_id = $1 AND deleted_at < $2`

	purgeRetired = `
		DELETE FROM system_inventory
		WHERE tenant_id = $1 AND id IN (SELECT id FROM system_inventory WHERE tenant_id = $1 AND deleted_at < $2 LIMIT $3)`
)

func entries(ctx context.Context, tx pgx.Tx, sql string, args ...any) ([]entry, error) {
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("select systems: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[entry])
	if err != nil {
		return nil, fmt.Errorf("select systems: %w", err)
	}
	return found, nil
}

// upsert writes hosts of distinct keys and returns how many rows are new and how many changed. Rows that stand already as
// they are in the import are not written at all.
func upsert(ctx context.Context, tx pgx.Tx, tenantID, origin string, hosts []host) (added, changed int, err error) {
	n := len(hosts)
	ips := make([]*netip.Prefix, n)
	columns := make([][]string, 7)
	for i := range columns {
		columns[i] = make([]string, n)
	}
	for i, h := range hosts {
		ips[i] = h.ip
		for c, value := range []string{h.hostname, h.key, shortName(h.key), h.mac, h.role, h.location, h.metadataJSON} {
			columns[c][i] = value
		}
	}
	rows, err := tx.Query(ctx, upsertHosts, tenantID, ips,
		columns[0], columns[1], columns[2], columns[3], columns[4], columns[5], columns[6], origin)
	if err != nil {
		return 0, 0, fmt.Errorf("upsert hosts: %w", err)
	}
	written, err := pgx.CollectRows(rows, pgx.RowTo[bool])
	if err != nil {
		return 0, 0, fmt.Errorf("upsert hosts: %w", err)
	}
	for _, isNew := range written {
		if isNew {
			added++
		} else {
			changed++
		}
	}
	return added, changed, nil
}

type liveHost struct {
	ID          string
	IPAddress   *netip.Prefix
	HostnameKey string
}

func liveAfter(ctx context.Context, tx pgx.Tx, tenantID, origin string, before time.Time, lastID string) ([]liveHost, error) {
	rows, err := tx.Query(ctx, liveHosts, tenantID, before, lastID, origin)
	if err != nil {
		return nil, fmt.Errorf("select live hosts: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[liveHost])
	if err != nil {
		return nil, fmt.Errorf("select live hosts: %w", err)
	}
	return found, nil
}

func retire(ctx context.Context, tx pgx.Tx, tenantID string, ids []string, before time.Time) (int, error) {
	tag, err := tx.Exec(ctx, retireHosts, tenantID, ids, before)
	if err != nil {
		return 0, fmt.Errorf("retire hosts: %w", err)
	}
	return int(tag.RowsAffected()), nil
}
