// Package secret holds the one type for values that must never be printed.
//
// A Secret shows as "[set]" or "[not set]" through every verb of fmt, through JSON, YAML and slog. The text is behind a
// pointer, so it stays hidden even in an unexported field, where fmt calls no methods and would print a plain string.
// Reveal is the only way to the text, and the word to search for in a review.
//
// It owns no table and does no I/O. It does not hide a secret from a debugger or a core dump.
package secret
