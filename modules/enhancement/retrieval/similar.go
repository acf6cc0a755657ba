package retrieval

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"aiagents/modules/enhancement/evidence"
)

// Query is the ticket that something is looked up for.
type Query struct {
	Subject     string
	Description string
	// ExcludeTicketID is the ticket's own id: it is never its own result, and its number tells how near others are.
	ExcludeTicketID string
	// Requester is the name of the person who asks, where it is known: it is hidden from an embedding server.
	Requester string
	// AccountID keeps an MSP's accounts apart: when it is set, only tickets of this account are found.
	AccountID string
	// Limit is the most results; 0 takes the configured one.
	Limit int
	// AnyResolution finds tickets without a usable resolution too. Evaluations set it; a note must not.
	AnyResolution bool
}

// Ranked is a past ticket in the order of the ranking.
type Ranked struct {
	TicketID string
	// Probability is the calibrated chance that this ticket has the same cause.
	Probability float64
	// Similarity is the cosine of the meanings, where they are searched too.
	Similarity float64
	// Features are what the ranking has looked at, Evidence what the calibration has.
	Features Features
	Evidence Calibration

	documentID int64
	rank       float64
}

// SearchSimilar finds past tickets of the tenant that were solved in a usable way and probably had the same cause, the most
// probable first. It shows nothing below the floor: nothing is better than noise.
func (s *Store) SearchSimilar(ctx context.Context, tenantID string, q Query) ([]evidence.SimilarTicket, error) {
	q.Limit = cmp.Or(q.Limit, s.cfg.SimilarLimit)
	ranked, err := s.Rank(ctx, tenantID, q)
	if err != nil {
		return nil, err
	}
	ranked = slices.DeleteFunc(ranked, func(r Ranked) bool {
		return r.Probability < s.cfg.SimilarFloor && (r.Similarity == 0 || r.Similarity < s.cfg.Embeddings.SimilarityFloor)
	})
	if len(ranked) == 0 {
		return nil, nil
	}
	rows, err := s.readTickets(ctx, tenantID, ranked)
	if err != nil {
		return nil, fmt.Errorf("read similar tickets: %w", err)
	}
	return describe(ranked, rows, newExcerpter(q)), nil
}

func describe(ranked []Ranked, rows map[int64]ticketRow, excerpts *excerpter) []evidence.SimilarTicket {
	similar := make([]evidence.SimilarTicket, 0, len(ranked))
	for _, r := range ranked {
		row, ok := rows[r.documentID]
		if !ok {
			continue // deleted since it was ranked
		}
		ticket := evidence.SimilarTicket{
			ID: "T-" + r.TicketID, TicketID: r.TicketID,
			Subject: row.Subject, Excerpt: excerpts.best(row.Description), Resolution: row.Resolution,
			Score: r.Probability, Source: row.Source,
		}
		if row.ResolvedDate != nil {
			ticket.ResolvedAt = row.ResolvedDate.UTC()
		}
		similar = append(similar, ticket)
	}
	return similar
}

// Rank orders past tickets by how likely they have the same cause as the query, without a floor. It is the search itself;
// SearchSimilar only leaves out and fills in.
func (s *Store) Rank(ctx context.Context, tenantID string, q Query) ([]Ranked, error) {
	find := search{index: s.index, pool: ticketPool, query: analyse(q.Subject, plainText(q.Description)), own: q.ExcludeTicketID}
	if !q.AnyResolution {
		find.tags = append(find.tags, tagTerm(tagSolved))
	}
	if q.AccountID != "" {
		find.tags = append(find.tags, tagTerm(tagAccount+q.AccountID))
	}
	embedded := s.embedQuery(ctx, tenantID, q)
	var candidates []candidateRow
	err := s.inSearchTx(ctx, tenantID, &find, func(ctx context.Context, tx pgx.Tx, ids []int64) (err error) {
		candidates, err = readCandidates(ctx, tx, tenantID, ids)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("search similar tickets: %w", err)
	}
	near, more := s.nearby(ctx, tenantID, q, embedded(), candidates)
	candidates = append(candidates, more...)
	candidates = slices.DeleteFunc(candidates, func(c candidateRow) bool {
		// The row has the last word: postings may be of an older text, and two tags may share a hash.
		return c.TicketID == q.ExcludeTicketID || q.AccountID != "" && c.AccountID != q.AccountID || !decode(c.Terms).hasAll(find.tags)
	})
	ranked := rerank(&find, q, candidates, near)
	fuse(ranked, near)
	return ranked[:min(len(ranked), cmp.Or(q.Limit, s.cfg.SimilarLimit))], nil
}

// inSearchTx finds candidates and reads them in one transaction. An index that is far behind is folded first.
func (s *Store) inSearchTx(ctx context.Context, tenantID string, find *search, read func(context.Context, pgx.Tx, []int64) error) error {
	if len(find.query) == 0 {
		return nil
	}
	unfolded := 0
	err := s.db.InTenantTx(ctx, tenantID, func(ctx context.Context, tx pgx.Tx) error {
		ids, n, err := find.candidates(ctx, tx, tenantID)
		if unfolded = n; err != nil || len(ids) == 0 {
			return err
		}
		return read(ctx, tx, ids)
	})
	if err != nil || unfolded < lateAt {
		return err
	}
	s.foldIfDue(ctx, tenantID, find.pool)
	return nil
}

// rerank is the second step of the ranking. Of the rows, those count that share a word with the query or its meaning.
func rerank(find *search, q Query, rows []candidateRow, near []neighbour) []Ranked {
	self := max(find.self(), math.SmallestNonzeroFloat64)
	meant := make(map[int64]bool, len(near))
	for _, n := range near {
		meant[n.DocumentID] = true
	}
	candidates := make([]candidate, 0, len(rows))
	for _, r := range rows {
		c := candidate{documentID: r.DocumentID, ticketID: r.TicketID, vector: decode(r.Terms), title: trigrams(r.Subject), number: numberOf(r.TicketID)}
		// Without relevance, only its older text shared a word.
		if c.relevance = score(find.terms, c.vector, find.average) / self * find.known; c.relevance > 0 || meant[c.documentID] {
			candidates = append(candidates, c)
		}
	}
	slices.SortFunc(candidates, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(b.relevance, a.relevance), cmp.Compare(b.documentID, a.documentID))
	})
	ranked := make([]Ranked, len(candidates))
	for i, f := range compare(q, find.query, candidates) {
		ranked[i] = Ranked{TicketID: candidates[i].ticketID, documentID: candidates[i].documentID, Features: f, rank: f.Rank(weights)}
	}
	slices.SortFunc(ranked, func(a, b Ranked) int {
		return cmp.Or(cmp.Compare(b.rank, a.rank), cmp.Compare(b.documentID, a.documentID))
	})
	calibrate(ranked, len(find.terms))
	return ranked
}

// candidateRow is what the second step reads of a ticket.
type candidateRow struct {
	DocumentID int64
	Terms      []byte
	TicketID   string
	AccountID  string
	Subject    string
}

type ticketRow struct {
	ID           int64
	Subject      string
	Description  string
	Resolution   string
	ResolvedDate *time.Time
	Source       string
}
