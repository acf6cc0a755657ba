// Package console shows operators in a browser what the product does and lets them act: overview, tenants, onboarding, runs,
// and River's own interface to the queue. It is server-rendered and needs nothing but this binary: no build step, nothing
// from elsewhere, and no JavaScript but a small script that brings parts of a page up to date.
//
// It owns no table and no rule. What it shows and does comes from app/operator, who may see it is decided by app/adminauth;
// it only turns values into words, tables and charts. Its routes are /console and what is below, on the operations port.
//
// Invariants:
//   - Text of tickets, tenants and desks is hostile. It reaches a page only through html/template, and the note only through
//     an allow-list without attributes. The content security policy allows nothing inline, so what slipped through
//     would still not run.
//   - GET changes nothing. Every change is a POST that adminauth has found to come from our own pages, and says in plain
//     English beforehand what it will do.
//   - A secret is printed once, in the answer to the request that made it, and a typed one is never sent back.
//   - Every page works without JavaScript and with the keyboard alone.
//
// A service that fails makes the page say so, with the request id; parts that can be read are shown all the same.
package console
