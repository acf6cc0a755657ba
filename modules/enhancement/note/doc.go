// Package note renders the one private note of an enhancement, as HTML for the service desk and as text for terminals.
//
// It prints what it is given: an answer that was held against the evidence, and the evidence itself. Ids, fixes, systems,
// monitoring and what was not checked are printed from the bundle, never from an answer. It owns no table, does no I/O, and
// does not decide what is true.
//
// Invariants, whatever the input holds:
//
//   - The HTML consists of p, br, ul, ol, li, strong, code and pre, without attributes. Text is escaped here, and the result
//     passes an allow-list policy besides. There is no link and no image; URLs are replaced by "[link]".
//   - Every text is cleaned of hidden characters and markup. What looks like a credential shows as evidence.SecretMark, and
//     what looks like a reference of ours is made unrecognisable, so that no ticket can forge one.
//   - The note has at most MaxWords words (500 at most, 100 at least) and 32 KiB. The least important lines go first; the
//     verdict, what was not checked and the reference never go.
//   - The same input gives the same note.
//
// There is no neighbour that could fail. An unknown language is rendered in English.
package note
