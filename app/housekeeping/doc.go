// Package housekeeping runs the program's periodic tasks and keeps, for each, when it ran last and what came of it.
//
// It owns the table housekeeping_runs, the queue "housekeeping" and the life of a run: its time limit, its record, its end when
// the process stops. It does not own what a task does: the composition root hands over functions of the modules.
//
// Invariants:
//   - A task runs once at a time, started by River's leader; an operator may run it beside that, so each bears being run twice.
//   - Every run leaves a row, a failed one with its reason in plain words. A reason never quotes a cause, which may hold data.
//   - A dry run counts, by tenant, what a run would remove, and changes nothing.
//   - A stopping process ends its runs at once; the task goes back to the queue and another process takes it up.
//
// When the database is away a run neither starts nor is recorded: the last success grows old, which the metrics show.
package housekeeping
