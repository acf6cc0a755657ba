package db

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"aiagents/internal/fault"
)

// tablePrivileges lists the tables on which the app role gets less than to read and write rows. No table gives it
// TRUNCATE or REFERENCES: row-level security covers neither.
var tablePrivileges = map[string]string{
	"schema_migrations": "SELECT",
	"river_migration":   "SELECT",
	"audit_log":         "SELECT, INSERT, DELETE", // rows can be deleted by retention only, see its policy
}

// grant gives the role of appURL what it needs and nothing else. It does nothing when both URLs name the same role: then
// the app runs as the owner, which the start-up guard refuses outside development.
func grant(ctx context.Context, pool *pgxpool.Pool, appURL string) error {
	app, err := pgx.ParseConfig(appURL)
	if err != nil {
		return fault.New(fault.Invalid, "the database URL cannot be read: expected postgres://user:password@host:port/database")
	}
	var owner string
	if err := pool.QueryRow(ctx, `SELECT current_user`).Scan(&owner); err != nil {
		return fmt.Errorf("read current role: %w", err)
	}
	if app.User == "" || app.User == owner {
		return nil
	}
	var exists bool
	if err := pool.QueryRow(ctx, `SELECT exists(SELECT 1 FROM pg_roles WHERE rolname = $1)`, app.User).Scan(&exists); err != nil {
		return fmt.Errorf("look up app role: %w", err)
	}
	if !exists {
		return fault.Newf(fault.NotFound, "the role %q of DATABASE_URL does not exist: create it with CREATE ROLE %s LOGIN PASSWORD '…'",
			app.User, pgx.Identifier{app.User}.Sanitize())
	}
	return grantTo(ctx, pool, pgx.Identifier{app.User}.Sanitize())
}

func grantTo(ctx context.Context, pool *pgxpool.Pool, role string) error {
	rows, err := pool.Query(ctx, `
		SELECT c.relname, c.relkind::text
		FROM pg_class c
		WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p', 'S')
		  AND pg_has_role(c.relowner, 'USAGE')
		ORDER BY c.relname`)
	if err != nil {
		return fmt.Errorf("list tables: %w", err)
	}
	type relation struct {
		Relname string
		Relkind string
	}
	relations, err := pgx.CollectRows(rows, pgx.RowToStructByPos[relation])
	if err != nil {
		return fmt.Errorf("list tables: %w", err)
	}
	var sql strings.Builder
	var database, schema string
	if err := pool.QueryRow(ctx, `SELECT current_database(), current_schema()`).Scan(&database, &schema); err != nil {
		return fmt.Errorf("read database and schema: %w", err)
	}
	fmt.Fprintf(&sql, "GRANT CONNECT ON DATABASE %s TO %s;\n", pgx.Identifier{database}.Sanitize(), role)
	fmt.Fprintf(&sql, "GRANT USAGE ON SCHEMA %s TO %s;\n", pgx.Identifier{schema}.Sanitize(), role)
	for _, r := range relations {
		name := pgx.Identifier{r.Relname}.Sanitize()
		if r.Relkind == "S" {
			fmt.Fprintf(&sql, "GRANT USAGE ON SEQUENCE %s TO %s;\n", name, role)
			continue
		}
		privileges, ok := tablePrivileges[r.Relname]
		if !ok {
			privileges = "SELECT, INSERT, UPDATE, DELETE"
		}
		fmt.Fprintf(&sql, "REVOKE ALL ON TABLE %s FROM %s; GRANT %s ON TABLE %s TO %s;\n", name, role, privileges, name, role)
	}
	if _, err := pool.Exec(ctx, sql.String()); err != nil {
		return fmt.Errorf("grant to the app role: %w", err)
	}
	return nil
}
