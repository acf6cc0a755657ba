// Package app is the composition root: the only package that sees every module. It owns the command line, the
// configuration, the roles and their life cycle, the HTTP servers, River's clients, and telemetry. It owns the table
// worker_heartbeats and no business rule.
//
//	ServiceDesk Plus ──webhook──▶ serve ──row + job, one commit──▶ Postgres ──job──▶ work ──note──▶ ServiceDesk Plus
//
// serve takes webhooks and only inserts jobs; work runs them; all does both in one process. A start goes from the
// database outwards, a stop the other way: not ready, a short delay, HTTP, River (soft, then hard), telemetry, pool.
//
// wire.go builds the modules and hands each its neighbours; adapters.go holds one small type an edge between two of them.
package app
