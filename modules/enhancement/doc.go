// Package enhancement turns an accepted delivery into a note: it gathers context, has it synthesised, hands the note to be
// posted, and keeps the history of all of it.
//
// It owns the tables enhancement_history and model_calls, and the jobs enhance_ticket and learn_resolution. Recover and Retain
// are for its owner to call by the clock. Its sub-packages own their parts: retrieval the past tickets and articles, systems the inventory,
// monitoring the look at live state, synthesis the model, note the renderer. It does not talk to the service desk and does
// not know how a note is posted: it asks its neighbours Desk and Notes.
//
//	received ──gather──▶ gathered ──model or rules──▶ synthesised ──post──▶ posted
//
// Invariants:
//   - enhancement_history is the authority, not River: River may run a job twice, or hand it on while a slow worker still
//     holds it. Claiming a row raises its epoch, and every later write asks for the epoch it claimed with.
//   - A finished stage is stored before the next begins, so a re-run pays for no context and no model call twice.
//   - Every row ends completed or failed, with a reason. A row whose job has vanished is found and queued again.
//
// A gatherer that fails or is late is data: the note says what was not checked. A model that fails makes the note
// facts-only. A desk that fails makes the job wait or retry, by the kind of its fault.
package enhancement
