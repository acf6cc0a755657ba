package tenant

// Purge lets a test begin the purge of a tenant that is in use again, which happens only between two transactions.
var Purge = (*Module).purge
