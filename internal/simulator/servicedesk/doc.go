// Package servicedesk is an in-process stand-in for ServiceDesk Plus v3
// (on-premises, Cloud, MSP on-premises, MSP Cloud) and for the plain notes
// bridge of edition "generic".
//
// It owns tickets, notes, solutions and assets in memory, a ledger of every
// request it received, the outgoing webhook, programmable faults and a small
// HTML view of what technicians see. It owns nothing outside its own process,
// except the optional journal file.
//
// Invariants:
//   - What the real desk refuses is refused: wrong key, wrong Accept header,
//     unknown JSON keys or parameters, wrong envelope, values of the wrong type.
//   - A note that was applied is in Notes and, with a journal, on disk before
//     the answer leaves, whatever a fault then does to that answer.
//   - Nothing deduplicates: two identical POSTs make two notes, as on the real desk.
//   - Note HTML is sanitised: comments, scripts and hidden elements are lost.
//   - Webhooks are sent once and never retried; the answer is recorded.
//
// Where the vendor documents nothing (exact texts, answers to a wrong Accept
// header) the stand-in picks the strict choice; clients must depend on the HTTP
// status and the numeric code only.
//
// When a neighbour fails: an unreachable webhook receiver is recorded as an
// answer with an error and changes nothing else; a journal that cannot be
// written turns the change into a 500, which is then not acknowledged.
package servicedesk
