// Package adminapi is the admin API: /api/v1 on the operations port, with its OpenAPI 3.1 document and a page to browse it.
// It owns these routes and no table: app/operator does the work, app/adminauth lets callers in before a request gets here.
//
// The document is made from the same Go types that decode requests and encode answers, and the same schemas refuse what does
// not fit them, so neither can say something else than the other.
//
// Invariants:
//   - Every answer has the product's one shape, refusals by the router and by the decoder too.
//   - Unknown fields and unknown query parameters are refused by name.
//   - A secret goes in and never comes out, but for a webhook secret in the answer to its own creation or rotation.
//   - Updates of a tenant name the version that they were made from, with If-Match.
//   - Every change is recorded with the caller's address.
//
// When a neighbour fails, its fault decides the answer: Unavailable is 503 with Retry-After where it is known.
package adminapi
