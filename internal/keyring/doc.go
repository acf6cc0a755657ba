// Package keyring seals secrets at rest, in two layers. The operator's keys (the keyring) wrap one data key for every
// tenant; the data key seals that tenant's fields. Rotating the operator's key therefore re-wraps one small blob a tenant,
// and destroying a tenant's data key makes everything it sealed unreadable, in backups too.
//
// Both layers are AES-256-GCM with a random nonce, and both bind the ciphertext to a context: a blob copied to another
// tenant, field or row does not open. Every wrapped key names the operator's key that wrapped it.
//
// It owns no table and does no I/O. A blob that does not open is a fault of kind Internal, never an empty secret.
package keyring
