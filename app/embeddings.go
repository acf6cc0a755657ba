package app

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"time"

	"aiagents/app/housekeeping"
	"aiagents/modules/enhancement/embedding"
	"aiagents/modules/enhancement/evidence"
	"aiagents/modules/enhancement/retrieval"
	"aiagents/modules/enhancement/synthesis"
	"aiagents/modules/enhancement/systems"
)

// useEmbeddings connects the search for similar tickets with an embedding server, where the configuration names one. Its key
// is the model's own when it is the same server.
func (s *system) useEmbeddings(cfg Config, out *outbound) {
	c := cfg.Retrieval.Embeddings
	if !c.Enabled {
		return
	}
	if !c.APIKey.IsSet() && c.BaseURL == cfg.OpenAI.BaseURL {
		c.APIKey = cfg.OpenAI.APIKey
	}
	httpClient := embedding.HTTPClient(time.Minute)
	httpClient.Transport = out.transport("embedding", cmp.Or(httpClient.Transport, http.DefaultTransport))
	s.tickets.UseEmbedder(embedder{
		inventory: s.inventory, model: s.model,
		client: embedding.New(embedding.Config{
			BaseURL: c.BaseURL, APIKey: c.APIKey, Model: c.Model, Dimensions: c.Dimensions, SendDimensions: c.SendDimensions,
			Client: httpClient,
		}),
	})
}

// embedder: retrieval has texts embedded. They leave as the model's prompt would: pseudonyms for people, credentials, addresses
// and every host of the inventory.
type embedder struct {
	inventory *systems.Inventory
	model     *synthesis.Client
	client    *embedding.Client
}

func (a embedder) Embed(ctx context.Context, tenantID string, passages []retrieval.Passage) ([][]float32, int64, error) {
	texts := make([]string, len(passages))
	for i, p := range passages {
		b := evidence.Bundle{Ticket: evidence.Ticket{Subject: p.Subject, Description: p.Description, Requester: p.Requester}}
		var err error
		if b.Systems, err = a.inventory.Lookup(ctx, tenantID, b.Ticket.Text()); err != nil {
			return nil, 0, fmt.Errorf("recognise hosts to hide: %w", err)
		}
		texts[i] = a.model.Hide(b, p.Subject+"\n"+p.Description)
	}
	return a.client.Embed(ctx, texts)
}

// embedEvery is how soon a new past ticket can be found by its meaning; embedMost bounds what one run does for one tenant.
const (
	embedEvery = time.Minute
	embedMost  = 1_000
)

// embedTickets embeds tenant by tenant what has no vector yet.
func (s *system) embedTickets(ctx context.Context) (housekeeping.Rows, error) {
	return s.eachTenant(ctx, func(id string) (int64, error) {
		n, err := s.tickets.EmbedTickets(ctx, id, embedMost)
		return int64(n), err
	})
}
