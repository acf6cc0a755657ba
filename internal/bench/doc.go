// Command bench measures aiagents on this machine: real processes of the product, a real Postgres with fsync on, simulated
// service desks and a simulated model with set latencies, and a load generator that signs its webhooks.
//
// It owns the scenarios and what is printed about them. It does not own the product's goals: issue-level goals stand beside
// the figures as goals, and a figure that misses one is printed as it is. It is a module of its own, so that the histogram,
// statistics and profiling libraries stay out of the product's.
//
// Invariants:
//
//   - No rate is printed before every webhook that was answered 202 is exactly one note on the desk's side. What was
//     answered otherwise may have one note, and what was never sent has none.
//   - Latencies of the open loop count from the time at which a request was meant to be sent, so that a stall of the product
//     is seen by all requests that fell into it.
//   - The limit that Postgres sets is measured with the statements that the product itself sent, read from the server's log
//     in the same run, on the same server, with the same durability.
//   - CPU time is read from the kernel for every process on its own: product, Postgres, simulators, load generator.
//   - All random choices come from one seed, which is printed.
//
// When a part of the rig fails (no Postgres, a build error, a process that never becomes ready), the run ends with exit 2
// and prints no figure; a broken invariant, or growth beyond its bound, gives exit 1.
package main
