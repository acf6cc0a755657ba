// Package fault is the one error vocabulary that every module shares.
//
// A fault has a kind, a message that may be shown to the caller, and a private cause that may not. The kind alone
// decides what happens at both edges of the program: the HTTP status of an answer and the outcome of a job. An error
// that carries no fault is Internal, so a forgotten classification hides text instead of leaking it.
package fault
