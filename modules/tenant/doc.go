// Package tenant knows who may call, with which secrets, preferences and limits.
//
// It owns the tables tenant_directory, tenant_configs and audit_log, and the notification channel tenant_changed. Secrets
// are sealed with a data key of the tenant, which the operator's keyring wraps; they are open in memory only. It does not
// verify signatures (modules/webhook does, with Cached and Fresh) and does not talk to service desks (modules/notifier does,
// with what Connection returns).
//
// Invariants:
//   - Every change of a tenant, its audit entry and its notification are one transaction.
//   - No exported type prints a secret, in any format.
//   - A cached tenant is never older than Config.CacheTTL, and is dropped as soon as another process changes it. Nothing is
//     served from the cache while the listener that hears of changes is cut off.
//   - Looking up an unknown tenant costs what looking up a known one costs, in queries, rows and decryptions.
//   - Deleting a tenant destroys its data key first. Only its audit log outlives it, for Config.AuditRetention.
//
// When Postgres is away, a cached tenant is served until the listener notices; every other call returns a fault of kind
// Unavailable. When the keyring lacks a tenant's key, that tenant's calls fail with a fault that names the key; the others
// work on, and List, Delete and Audit need no keys at all.
package tenant
