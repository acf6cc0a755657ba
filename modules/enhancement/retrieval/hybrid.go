package retrieval

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"aiagents/internal/fault"
)

// hybrid is the search by meaning beside the one by words. It is optional in every respect: without the setting, without
// pgvector, without an answer in time, a search is what it would be without it.
type hybrid struct {
	cfg      EmbeddingsConfig
	embedder Embedder
	// present is set once the table was seen. It can appear while the process runs, and does not go away.
	present  atomic.Bool
	searches *prometheus.CounterVec
	tickets  prometheus.Counter
	tokens   prometheus.Counter
	cost     prometheus.Counter
}

// Outcomes of the search by meaning, as the metric names them.
const (
	hybridUsed        = "used"
	hybridUnavailable = "unavailable"
	hybridTimeout     = "timeout"
	hybridRefused     = "refused"
	hybridNoExtension = "no_extension"
	hybridFailed      = "failed"
)

func newHybrid(cfg EmbeddingsConfig) *hybrid {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	h := &hybrid{
		cfg: cfg,
		searches: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "aiagents_embedding_searches_total",
			Help: "Searches for similar tickets with embeddings switched on, by outcome (used, unavailable, timeout, refused, no_extension, failed); all but used fell back on words alone.",
		}, []string{"outcome"}),
		tickets: counter("aiagents_embedding_tickets_total", "Past tickets that were embedded."),
		tokens:  counter("aiagents_embedding_tokens_total", "Tokens that the embedding server counted."),
		cost:    counter("aiagents_embedding_cost_usd_total", "Cost of embeddings in US dollars at the price set in retrieval.embeddings.usd_per_million_tokens."),
	}
	// Every series begins at 0, so that the first fall-back is an increase.
	for _, outcome := range []string{hybridUsed, hybridUnavailable, hybridTimeout, hybridRefused, hybridNoExtension, hybridFailed} {
		h.searches.WithLabelValues(outcome)
	}
	return h
}

// UseEmbedder switches the search by meaning on, if the configuration does too. It must be called before the first search.
func (s *Store) UseEmbedder(e Embedder) { s.hybrid.embedder = e }

// Collectors are the store's metrics.
func (s *Store) Collectors() []prometheus.Collector {
	h := s.hybrid
	return []prometheus.Collector{h.searches, h.tickets, h.tokens, h.cost}
}

func (h *hybrid) on() bool { return h.cfg.Enabled && h.embedder != nil }

// model names what a vector is of: vectors of another model, or another length, cannot be compared with.
func (h *hybrid) model() string { return fmt.Sprintf("%s/%d", h.cfg.Model, h.cfg.Dimensions) }

func (h *hybrid) count(tokens int64) {
	h.tokens.Add(float64(tokens))
	h.cost.Add(float64(tokens) * h.cfg.USDPerMillionTokens / 1e6)
}

// embedQuery starts to embed a query and returns how to wait for the vector: nil when there is none.
func (s *Store) embedQuery(ctx context.Context, tenantID string, q Query) func() []float32 {
	h := s.hybrid
	if !h.on() {
		return func() []float32 { return nil }
	}
	limited, cancel := context.WithTimeout(ctx, h.cfg.Timeout)
	answer := make(chan []float32, 1)
	go func() {
		defer cancel()
		vectors, tokens, err := h.embedder.Embed(limited, tenantID, []Passage{{q.Subject, plainText(q.Description), q.Requester}})
		if h.count(tokens); err != nil {
			s.fellBack(ctx, outcomeOf(limited, err), err)
			answer <- nil
			return
		}
		answer <- vectors[0]
	}()
	return func() []float32 {
		select {
		case vector := <-answer:
			return vector
		case <-limited.Done(): // also when the answer has come just now
		}
		select {
		case vector := <-answer:
			return vector
		default:
			return nil
		}
	}
}

func outcomeOf(ctx context.Context, err error) string {
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return hybridTimeout
	case fault.Is(err, fault.Unavailable):
		return hybridUnavailable
	case fault.Is(err, fault.Invalid):
		return hybridRefused
	}
	return hybridFailed
}

func (s *Store) fellBack(ctx context.Context, outcome string, err error) {
	s.hybrid.searches.WithLabelValues(outcome).Inc()
	s.log.WarnContext(ctx, "similar tickets are searched by words alone", "outcome", outcome, "error", err)
}

// nearby finds the tickets that mean most nearly the same, best first, and reads those that the search by words has not. It
// gives nothing when there is no vector, and when it fails.
func (s *Store) nearby(ctx context.Context, tenantID string, q Query, vector []float32, rows []candidateRow) ([]neighbour, []candidateRow) {
	if vector == nil {
		return nil, nil
	}
	var near []neighbour
	var more []candidateRow
	err := s.db.InTenantTx(ctx, tenantID, func(ctx context.Context, tx pgx.Tx) error {
		if ok, err := s.hybrid.ready(ctx, tx); err != nil || !ok {
			return err
		}
		var err error
		if near, err = readNeighbours(ctx, tx, tenantID, s.hybrid, q.AccountID, vector); err != nil {
			return err
		}
		known := make(map[int64]bool, len(rows))
		for _, r := range rows {
			known[r.DocumentID] = true
		}
		var ids []int64
		for _, n := range near {
			if !known[n.DocumentID] {
				ids = append(ids, n.DocumentID)
			}
		}
		more, err = readCandidates(ctx, tx, tenantID, ids)
		return err
	})
	switch {
	case err != nil:
		s.fellBack(ctx, hybridFailed, err)
		return nil, nil
	case !s.hybrid.present.Load():
		s.hybrid.searches.WithLabelValues(hybridNoExtension).Inc()
		return nil, nil
	}
	s.hybrid.searches.WithLabelValues(hybridUsed).Inc()
	return near, more
}

// fusion is the constant of reciprocal rank fusion: with 60, a first place in one list weighs about as much as being in the
// upper third of both.
const fusion = 60

// fuse orders the union of both searches by the sum of the reciprocal ranks. Probabilities stay those of the words, the only
// ones that are calibrated.
func fuse(ranked []Ranked, near []neighbour) {
	if len(near) == 0 {
		return
	}
	points := make(map[int64]float64, len(ranked))
	for i, r := range ranked {
		if r.Features.Relevance > 0 {
			points[r.documentID] = 1 / float64(fusion+i+1)
		}
	}
	similarity := make(map[int64]float64, len(near))
	for i, n := range near {
		points[n.DocumentID] += 1 / float64(fusion+i+1)
		similarity[n.DocumentID] = n.Similarity
	}
	for i := range ranked {
		ranked[i].Similarity = similarity[ranked[i].documentID]
	}
	slices.SortStableFunc(ranked, func(a, b Ranked) int {
		return cmp.Compare(points[b.documentID], points[a.documentID])
	})
}

// EmbedTickets embeds up to limit of a tenant's past tickets that have no vector yet, or one of an older text or another
// model, the newest first. It returns how many it has embedded; fewer than the limit means that none are left.
func (s *Store) EmbedTickets(ctx context.Context, tenantID string, limit int) (int, error) {
	if !s.hybrid.on() {
		return 0, nil
	}
	done := 0
	for done < limit {
		n, err := s.embedBatch(ctx, tenantID, min(embedAtOnce, limit-done))
		done += n
		if err != nil {
			return done, fmt.Errorf("embed tickets: %w", err)
		}
		if n < embedAtOnce {
			break
		}
	}
	return done, nil
}

// embedAtOnce is the most texts of one request.
const embedAtOnce = 32

// embedTimeout is for one request of a batch, which nobody waits for.
const embedTimeout = 30 * time.Second

// embedBatch asks the server between two transactions. A ticket that is deleted meanwhile is left out, one that is changed
// keeps its old time and so is embedded again.
func (s *Store) embedBatch(ctx context.Context, tenantID string, limit int) (int, error) {
	var pending []unembedded
	err := s.db.InTenantTx(ctx, tenantID, func(ctx context.Context, tx pgx.Tx) error {
		ok, err := s.hybrid.ready(ctx, tx)
		if err != nil || !ok {
			return err
		}
		pending, err = readUnembedded(ctx, tx, tenantID, s.hybrid, limit)
		return err
	})
	if err != nil || len(pending) == 0 {
		return 0, err
	}
	passages := make([]Passage, len(pending))
	for i, p := range pending {
		passages[i] = Passage{Subject: p.Subject, Description: p.Description}
	}
	limited, cancel := context.WithTimeout(ctx, embedTimeout)
	defer cancel()
	vectors, tokens, err := s.hybrid.embedder.Embed(limited, tenantID, passages)
	if s.hybrid.count(tokens); err != nil {
		return 0, err
	}
	err = s.db.InTenantTx(ctx, tenantID, func(ctx context.Context, tx pgx.Tx) error {
		return writeEmbeddings(ctx, tx, tenantID, s.hybrid.model(), pending, vectors)
	})
	if err != nil {
		return 0, err
	}
	s.hybrid.tickets.Add(float64(len(pending)))
	return len(pending), nil
}
