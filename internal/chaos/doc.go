// Command chaos puts aiagents through what kills programs, and checks that every accepted webhook still ends as exactly
// one note or as an honest, visible failure.
//
// It owns a rig of real processes: the real binary (built with the tag chaos, which adds nothing but the crash points of
// internal/crashpoint) as two serve and three work processes, a real Postgres with fsync on, and links with toxiproxy
// between them. The service desks, the model, the sender of webhooks and the checker live in this process, which nothing
// kills.
//
// It does not own the product's promises; docs/reliability.md states them and their assumptions. It is a module of its
// own, so that toxiproxy's dependencies stay out of the product's.
//
// Invariants of the harness:
//
//   - The checker believes only what was written down by parties that cannot be killed: the sender's journal of answers
//     with 202, the desks' journals of notes, the model's record of calls. The database is asked only for what it
//     promises itself: which run failed visibly, which jobs are left.
//   - What was accepted is on disk, synced, before the sender goes on.
//   - A run is repeatable: all random choices come from one seed, which the report prints. The interleaving of processes
//     is the machine's and is not repeated.
//   - A scenario that could not be carried out says so; it never counts as passed.
//
// When a part of the rig itself fails (no Postgres, a build error, a process that never becomes ready), the run ends
// with exit 2 and no verdict; a broken invariant gives exit 1.
package main
