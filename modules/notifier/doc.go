// Package notifier is the program's way to the tenants' service desks: it reads tickets and writes the one private note,
// exactly once in effect.
//
// It owns the tables note_posts (intent and result of one note), desk_connections (what all workers share about one
// tenant's desk) and database_lineage (by which a restored database is noticed). It owns no job and no route: the enhancement module calls it and decides about retries from the kind
// and the waiting time of the fault it gets. It does not own credentials, which come from Connections, nor the note's
// HTML, which its caller renders with the reference visible in it.
//
// How a note gets written exactly once, although the desk offers neither idempotency keys nor fencing:
//
//   - The intent is committed before the request leaves, so every request that may have taken effect is known.
//   - One request, on a connection that Go never replays, bounded by Config.PostTimeout from the intent on.
//   - Provably not applied (never sent, or clearly refused): the intent is taken back and a later call may post.
//   - Anything else is ambiguous. After the quiet time (Config.QuietTime) the request has taken effect or never will;
//     then the ticket's notes are searched for the reference, and only when it is absent is the note posted again.
//   - An owner with an older epoch cannot change a row that a newer one holds.
//   - What the assumptions miss, the sweep removes: of several copies the one with the lowest id stays.
//
// Invariants:
//
//   - No HTTP happens inside a transaction, and no row says posted without a note id.
//   - Ticket text, notes and credentials appear in no log, metric or error.
//   - On the MSP editions nothing of a ticket is used before its account is known to be the tenant's.
//   - A note is deleted only when its text equals the one that stays; what a technician wrote is never touched.
//
// When a neighbour fails: a desk that is away or slow gives faults of kind Unavailable, and after several in a row the
// connection's breaker refuses calls for a while without trying. A desk that limits us gives Limited with its waiting
// time. Refused credentials pause the connection for all workers, with the reason on its row; one worker probes it each
// Config.ProbeInterval and the first success resumes it. When Postgres is away nothing is posted.
package notifier
