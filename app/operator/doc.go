// Package operator is what an operator can see and do: one Service over the modules, which the command line, the admin API
// and the console share. It owns no table and no route.
//
// Numbers across tenants are added up tenant by tenant, each inside its own tenant's transaction: row-level security is
// forced, and nothing here may go around it. A few tenants are asked at a time, so that a page never takes the pool away from
// the work, and the overview is kept for some seconds (Config.CacheFor), so that ten open consoles cost what one costs.
//
// Invariants:
//   - What a caller gets for one tenant was read in that tenant's transaction.
//   - Nothing it returns holds a secret, but for NewSecret, once.
//   - Every change leaves an audit entry with its actor; one that is about to start work leaves it in the same transaction.
//
// When one tenant cannot be read, an overview says so on that tenant's line and shows the others. Lists and single reads fail.
package operator
