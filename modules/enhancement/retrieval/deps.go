package retrieval

import "context"

// Passage is a ticket's text as it goes to an embedding server, before what the server may not see is hidden.
type Passage struct {
	Subject     string
	Description string
	// Requester is the person's name where it is known, so that it can be hidden.
	Requester string
}

// Embedder turns texts into vectors. It must hide what the model may not see either. It returns one vector a passage, in
// order, and the tokens that were counted, or a fault of kind Unavailable when asking again later may help.
type Embedder interface {
	Embed(ctx context.Context, tenantID string, passages []Passage) (vectors [][]float32, tokens int64, err error)
}
