package db

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"aiagents/internal/fault"
)

// querier is what a pool and a transaction have in common.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// CheckRole refuses a role that row-level security does not bind: a superuser, one with BYPASSRLS, one that can become such
// a role by SET ROLE, or the owner of a tenant table (who could switch the policies off).
func (d *DB) CheckRole(ctx context.Context) error {
	var role string
	var super, bypass, member, owner bool
	err := d.pool.QueryRow(ctx, `
		SELECT current_user, r.rolsuper, r.rolbypassrls,
		       exists(SELECT 1 FROM pg_roles o WHERE (o.rolsuper OR o.rolbypassrls) AND pg_has_role(o.oid, 'MEMBER')),
		       exists(SELECT 1 FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id'
		              WHERE c.relkind IN ('r', 'p') AND c.relnamespace = current_schema()::regnamespace
		                AND pg_has_role(c.relowner, 'MEMBER'))
		FROM pg_roles r WHERE r.rolname = current_user`).Scan(&role, &super, &bypass, &member, &owner)
	if err != nil {
		return classify(fmt.Errorf("read role: %w", err))
	}
	var why []string
	if super {
		why = append(why, "is a superuser")
	}
	if bypass {
		why = append(why, "has BYPASSRLS")
	}
	if member && !super && !bypass {
		why = append(why, "is a member of a role that is a superuser or has BYPASSRLS")
	}
	if owner {
		why = append(why, "owns tenant tables")
	}
	if len(why) == 0 {
		return nil
	}
	return fault.Newf(fault.Forbidden,
		"row-level security does not bind the role %q: it %s. Give DATABASE_URL a role of its own and run `aiagents migrate up` with the owner in MIGRATION_DATABASE_URL",
		role, strings.Join(why, " and "))
}

// isolation is what the policies of the migrations compare, as Postgres prints it back.
const isolation = `(tenant_id = current_setting('app.current_tenant_id'::text, true))`

// CheckPolicies names every table that has a tenant_id and is not fully under row-level security.
func (d *DB) CheckPolicies(ctx context.Context) error { return checkPolicies(ctx, d.pool) }

// checkPolicies asks the catalogue, so a table that somebody adds later cannot be forgotten: every table with a tenant_id
// must have row-level security enabled and forced, and exactly one permissive policy, which compares the tenant on reads as
// well as on writes. Permissive policies add up, so a second one could only widen the first.
func checkPolicies(ctx context.Context, q querier) error {
	rows, err := q.Query(ctx, `
		SELECT c.relname
		FROM pg_class c
		JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped
		WHERE c.relkind IN ('r', 'p') AND c.relnamespace = current_schema()::regnamespace
		  AND NOT (c.relrowsecurity AND c.relforcerowsecurity
		           AND (SELECT count(*) FROM pg_policy p
		                WHERE p.polrelid = c.oid AND p.polpermissive AND p.polcmd = '*'
		                  AND pg_get_expr(p.polqual, c.oid) = $1 AND pg_get_expr(p.polwithcheck, c.oid) = $1) = 1
		           AND (SELECT count(*) FROM pg_policy p WHERE p.polrelid = c.oid AND p.polpermissive) = 1)
		ORDER BY c.relname`, isolation)
	if err != nil {
		return classify(fmt.Errorf("read policies: %w", err))
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return classify(fmt.Errorf("read policies: %w", err))
	}
	if len(tables) > 0 {
		return fault.Newf(fault.Forbidden, "row-level security is not in force on: %s. Run `aiagents migrate up`", strings.Join(tables, ", "))
	}
	return nil
}
