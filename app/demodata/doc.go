// Package demodata holds the sample data of two customers, for `aiagents demo`
// and for tests: solved tickets, articles, inventories, and a few new tickets
// with what a good note on them must find.
//
// It owns the embedded files and nothing else: no tables, no routes, no jobs.
// It does not parse them either: that is for the importers an operator uses.
// There is no neighbour that could fail.
// The companies, hosts and people's roles are made up. Addresses are private
// (RFC 1918) or from documentation ranges (2001:db8::/32, 203.0.113.0/24).
//
// Invariants, each held by a test:
//
//   - every file is in the format of the import commands, columns and all, so
//     the demo can use the same importers as an operator;
//   - one customer's tickets come as CSV, the other's as JSONL, so that both
//     importers are used;
//   - ticket ids, host names and addresses of the two customers are disjoint,
//     so that any one of them in the other's note proves a leak;
//   - every [Expectation] names tickets, an article and a host that exist.
//
// Some problems look alike in both customers but have another cause and fix,
// and several solved tickets of one customer describe one problem in different
// words. Both are on purpose: isolation and similar-ticket search are what the
// demo shows.
package demodata
