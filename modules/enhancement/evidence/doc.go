// Package evidence holds the vocabulary of one enhancement: the ticket, and everything that was found for it.
//
// Gatherers fill a Bundle, the synthesis reads it, the renderer prints from it, and it is kept as JSON in
// enhancement_history.context_gathered. It owns no table and does no I/O. Every item carries an id that is printed in the
// note ("T-4711", "KB-7Q2F", "S-hc-fs-01", "M-1"); ids are distinctive on purpose, because models confuse list positions.
//
// It also says what an Answer is, and cleans untrusted text: hidden characters, markup, encoded text (Clean) and credentials
// (MaskSecrets), because the prompt and the note must agree on what is taken out.
//
// Invariant: a Bundle holds data of one tenant only. It is never cached across tenants and never merged.
package evidence
