// Package webhook takes deliveries from ticketing systems: verify, recognise duplicates, record, schedule.
//
// It owns the routes POST /webhook/servicedesk[/{tenant_id}] and POST /webhook/servicedesk[/{tenant_id}]/resolved-ticket. It
// owns no table and no job: the enhancement module records the delivery and schedules the work, in the transaction that
// this package opens.
//
// Invariants:
//   - The credential is checked over the raw bytes before anything else in the body is believed. The body's tenant_id is
//     a claim; after verification only the verified tenant is used.
//   - An unknown tenant, a disabled one and a wrong credential get the same answer after the same work: two rounds of
//     verification and one read of the database.
//   - 202 is answered only after the commit, and the same delivery always gets the same job_id.
//
// When the tenant lookup or the commit fails the answer is 503 with Retry-After, and nothing was recorded.
package webhook
