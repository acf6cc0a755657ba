// Package docsearch searches the tenant's remote documentation for what may help with a ticket.
//
// It owns the providers (generic HTTP, Confluence Cloud and Data Center, IT Glue, Hudu), their configuration, and a cache in
// memory. It owns no table, stores no credential, changes nothing on the other side, and does not keep what it finds: what is
// to be searched by meaning is imported into retrieval instead.
//
// Invariants:
//   - Only keywords leave the house, eight at most: never the ticket's text, an address of a person, or what looks like a
//     secret.
//   - IT Glue and Hudu hold many customers of one MSP: a configuration names the one whose documents may be seen, and answers
//     about others are dropped.
//   - Paths are fixed in this package, and none of them leads to passwords. Excerpts have secrets masked all the same.
//   - A cached result is found again by the same tenant with the same configuration only.
//   - No error holds a query string, a header or a body.
//
// A provider that is away, slow or wrong costs only its own results: Search returns what the others found beside the error.
package docsearch
