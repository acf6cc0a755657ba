// Package systems finds the hosts, addresses and networks that a ticket names, and tells what the tenant's inventory
// knows about them.
//
// It owns the table system_inventory: its import, its soft deletes and its look-ups. It does not decide which of the
// systems reach the note, and it asks nothing over the network.
//
// Invariants:
//   - Recognise is pure and needs time linear in the text. It prefers silence to a guess: version numbers, times, object
//     identifiers, netmasks and e-mail domains are not hosts.
//   - Look-ups use equality and ranges only. Under row-level security other operators (<<=, LIKE, lower()) lose their
//     index, see the migration.
//   - A host is deleted softly: by an import that is told to prune, or when the desk no longer lists an asset; each retires only
//     what it brought. A retired host is still found, and says so, until Purge removes it.
//   - The desk's assets never overwrite what was imported.
//   - Every query runs inside the tenant's transaction and names the tenant.
//
// When the database is away, Lookup and Import return its fault. An import that broke off can simply be run again: rows that
// stand already are left alone.
package systems
