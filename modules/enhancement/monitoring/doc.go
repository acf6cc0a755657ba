// Package monitoring asks the tenant's monitoring what was wrong with the hosts of a ticket around the ticket's time.
//
// It owns the providers (Prometheus, Alertmanager, Zabbix, Datadog) and their configuration. It owns no table, stores no
// credential, changes nothing in the monitored systems, and does not decide which hosts a ticket is about.
//
// Invariants:
//   - An observation is about a host (AboutHost) only when the provider names that host by name or address. What merely
//     happened near in time is kept apart, and asked for only where the configuration says that the server holds one
//     customer alone (near_in_time).
//   - "Nothing is wrong" (Severity "ok") is said only of hosts that the provider is known to watch. Silence about a host that
//     it does not know is no answer.
//   - Host names reach a query only in characters that no query language gives a meaning to.
//   - No error holds a query string, a header or a body: they carry tokens and names.
//
// A provider that is away, slow or wrong costs only its own lines: Gather returns what the others said beside the error.
package monitoring
