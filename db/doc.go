// Package db owns the way to Postgres: the pool, the three transaction helpers, the migrations and the checks that
// row-level security is really in force.
//
// Nothing else in the tree begins or commits a transaction. A tenant context comes into being only in InTenantTx, and in
// InTenantBatch, which sends a whole transaction in one round trip: both set app.current_tenant_id for one transaction, so
// nothing can leak to the next user of a pooled connection.
// InTx carries no tenant: under row-level security it sees no tenant's rows and serves River's tables and the directory.
//
// It owns no table beyond the schema versions; each table is owned by the module that its comment names. When Postgres is
// away, every call returns a fault of kind Unavailable within the caller's deadline; nothing is retried here.
package db
