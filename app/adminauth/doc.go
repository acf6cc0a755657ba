// Package adminauth decides who may use the operator's interfaces: the admin API, the console and whatever else is mounted
// beside them on the operations port. It owns no table and keeps no session: a session is a cookie that any replica checks
// by itself.
//
// A request is let in with the admin token as a bearer token, or with a cookie that was given for that token. Without a token
// nothing is let in outside development; in development, only what comes from this very machine.
//
// Invariants:
//   - The token is compared in constant time, and it is in no cookie: a cookie holds a random id and two times, under a
//     MAC whose key is derived from the token. Another token makes every cookie worthless.
//   - A cookie counts for an unsafe method only when the request comes from our own pages.
//   - Every answer, refusals too, carries the security headers of Headers.
//   - Wrong credentials are counted by address and in total. An address that proved itself lately does not suffer from the
//     wrong guesses of others.
//
// It has no neighbours, so nothing else can fail it.
package adminauth
