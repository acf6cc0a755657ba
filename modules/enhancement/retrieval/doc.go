// Package retrieval keeps a tenant's past tickets and articles and finds those that help with a new ticket.
//
// It owns the tables ticket_history, knowledge_articles and knowledge_sections, the search index in search_documents,
// search_segments and search_postings, and ticket_embeddings, which is there only where pgvector is. It owns no route, no job and no connection to a desk: callers bring tickets and
// articles, from imports, webhooks or a sync.
//
// # How a search works
//
// A text becomes a vector of hashed terms (tokenise, analyse). Writing a document adds its vector, one row, to
// search_documents and touches nothing that others write. A fold later gathers such rows into an immutable segment with
// one row a term; what a process has read of one it remembers (postings). A search adds up BM25 from the segments' posting lists and from the rows not yet folded, takes the best
// hundred, scores them exactly from their vectors, and orders them by BM25, the titles, what they have
// in common with each other, and closeness in time (rerank).
// A logistic regression turns that into the probability that is shown and that the floor is compared with (calibrate).
// docs/retrieval.md has the formulas and what was measured.
//
// # Invariants
//
//   - A search sees rows of its tenant only; every statement is bound by row-level security and names the tenant as well.
//   - A ticket is never its own result, and without a usable resolution it is no result at all.
//   - With an account set, no other account's ticket is a result. The stored row decides, not the index.
//   - A committed write is found by the next search, folded or not. A removed or changed text is never shown from the index.
//   - The same data and query give the same results in the same order.
//
// A search by meaning can stand beside the one by words (hybrid). Without its setting, its table or an answer of its server in
// time, a search is what it is without it.
//
// When Postgres is away every call fails with a fault of kind Unavailable. Without folding, searches stay right and get
// slower with the number of unfolded rows, so a search that finds very many folds them itself.
package retrieval
