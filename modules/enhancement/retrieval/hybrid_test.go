package retrieval

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"aiagents/db"
	"aiagents/db/dbtest"
	"aiagents/internal/fault"
	"aiagents/internal/simulator/openai"
)

// standIn plays the part of pgvector that this package uses, for servers that have not got it: the type, and the distance. What
// it cannot play is pgvector's speed.
const standIn = `
	CREATE DOMAIN vector AS real[];
	CREATE FUNCTION cosine_distance(a real[], b real[]) RETURNS double precision LANGUAGE sql IMMUTABLE STRICT AS $$
		SELECT 1 - sum(x.a * x.b) / (sqrt(sum(x.a * x.a)) * sqrt(sum(x.b * x.b)))::double precision FROM unnest(a, b) AS x (a, b) $$;
	CREATE OPERATOR <=> (LEFTARG = real[], RIGHTARG = real[], FUNCTION = cosine_distance);`

// newVectorStore has the table of embeddings: with the real extension where the server has it, else with the stand-in.
func newVectorStore(t *testing.T, change func(*EmbeddingsConfig)) (*Store, *fakeEmbedder) {
	t.Helper()
	d := dbtest.New(t)
	admin, err := pgx.Connect(t.Context(), d.AdminURL)
	require.NoError(t, err)
	defer admin.Close(context.WithoutCancel(t.Context()))
	var available bool
	require.NoError(t, admin.QueryRow(t.Context(), `SELECT exists(SELECT FROM pg_available_extensions WHERE name = 'vector')`).Scan(&available))
	install := standIn
	if available {
		install = `CREATE EXTENSION vector`
	} else {
		t.Log("this server has no pgvector: a stand-in in SQL takes its place")
	}
	_, err = admin.Exec(t.Context(), install)
	require.NoError(t, err)
	_, err = db.MigrateUp(t.Context(), d.OwnerURL, d.AppURL, slog.New(slog.DiscardHandler))
	require.NoError(t, err, "an extension that comes after the migrations is found")
	return withEmbedder(d.DB, change)
}

func withEmbedder(d *db.DB, change func(*EmbeddingsConfig)) (*Store, *fakeEmbedder) {
	cfg := generous()
	cfg.Embeddings.Enabled, cfg.Embeddings.Dimensions, cfg.Embeddings.Timeout = true, 64, 5*time.Second
	cfg.Embeddings.USDPerMillionTokens = 2
	if change != nil {
		change(&cfg.Embeddings)
	}
	s, fake := New(d, cfg, slog.New(slog.DiscardHandler)), &fakeEmbedder{size: cfg.Embeddings.Dimensions}
	s.UseEmbedder(fake)
	return s, fake
}

// fakeEmbedder gives the simulator's vectors, after it has replaced words by others that mean the same.
type fakeEmbedder struct {
	size  int
	err   error
	hang  bool
	texts []string
}

func (f *fakeEmbedder) Embed(ctx context.Context, _ string, passages []Passage) ([][]float32, int64, error) {
	if f.hang {
		<-ctx.Done()
		return nil, 0, fault.Wrap(fault.Unavailable, ctx.Err(), "too slow")
	}
	if f.err != nil {
		return nil, 0, f.err
	}
	var vectors [][]float32
	for _, p := range passages {
		text := strings.NewReplacer("notebook", "laptop", "lid", "hinge").Replace(strings.ToLower(p.Subject + " " + p.Description))
		f.texts = append(f.texts, text)
		vectors = append(vectors, openai.Embed(text, f.size))
	}
	return vectors, int64(10 * len(passages)), nil
}

func (s *Store) searches(outcome string) float64 {
	return testutil.ToFloat64(s.hybrid.searches.WithLabelValues(outcome))
}

func hingeTicket() Ticket {
	return Ticket{ID: "7", Subject: "Laptop hinge broken", Resolution: "Replaced the display assembly", Source: "import"}
}

func TestAMeaningFindsWhatNoWordDoes(t *testing.T) {
	t.Parallel()
	s, _ := newVectorStore(t, nil)
	upsert(t, s, tenant, hingeTicket(), vpnTicket("8"))
	query := Query{Subject: "Notebook lid"}
	require.Empty(t, similar(t, s, tenant, query), "nothing is embedded yet, and no word is shared")
	n, err := s.EmbedTickets(t.Context(), tenant, 100)
	require.NoError(t, err)
	require.Equal(t, 2, n)
	require.Equal(t, "7", similar(t, s, tenant, query)[0])
	require.Equal(t, "8", similar(t, s, tenant, Query{Subject: "VPN error 809"})[0], "both agree")
	require.InDelta(t, 3, s.searches(hybridUsed), 0)
	require.InDelta(t, 2, testutil.ToFloat64(s.hybrid.tickets), 0)
	require.InDelta(t, 50, testutil.ToFloat64(s.hybrid.tokens), 0, "two tickets and three queries")
	require.InDelta(t, 50*2/1e6, testutil.ToFloat64(s.hybrid.cost), 1e-12)

	s.cfg.SimilarFloor = 0.2
	require.Equal(t, []string{"7"}, similar(t, s, tenant, query), "above the floor of the meaning")
	s.cfg.Embeddings.SimilarityFloor = 1
	require.Empty(t, similar(t, s, tenant, query), "below both floors")
}

func TestMeaningKeepsToTheTenantTheAccountAndSolvedTickets(t *testing.T) {
	t.Parallel()
	s, _ := newVectorStore(t, nil)
	solved, open, own := hingeTicket(), hingeTicket(), hingeTicket()
	solved.AccountID, open.ID, open.Resolution, open.AccountID, own.ID, own.AccountID = "north", "9", "", "north", "10", "north"
	upsert(t, s, tenant, solved, open, own)
	upsert(t, s, "other", Ticket{ID: "66", Subject: "Laptop hinge broken", Resolution: "Sent to the other firm's repair", Source: "import"})
	for _, id := range []string{tenant, "other"} {
		_, err := s.EmbedTickets(t.Context(), id, 100)
		require.NoError(t, err)
	}
	query := Query{Subject: "Notebook lid", ExcludeTicketID: "10", AccountID: "north"}
	require.Equal(t, []string{"7"}, similar(t, s, tenant, query))
	query.AccountID = "south"
	require.Empty(t, similar(t, s, tenant, query))
	require.Equal(t, []string{"66"}, similar(t, s, "other", Query{Subject: "Notebook lid"}))
	require.NoError(t, s.db.InTenantTx(t.Context(), "other", func(ctx context.Context, tx pgx.Tx) error {
		var n int
		require.NoError(t, tx.QueryRow(ctx, `SELECT count(*) FROM ticket_embeddings`).Scan(&n))
		require.Equal(t, 1, n, "row-level security shows the tenant's own vectors only")
		return nil
	}))
	require.NoError(t, s.DeleteTickets(t.Context(), tenant, []string{"7"}))
	require.Empty(t, similar(t, s, tenant, Query{Subject: "Notebook lid", ExcludeTicketID: "10"}), "a vector goes with its ticket")
	require.NoError(t, s.Purge(t.Context(), "other"))
}

func TestChangedTextsAndModelsAreEmbeddedAgain(t *testing.T) {
	t.Parallel()
	s, fake := newVectorStore(t, nil)
	for i := range embedAtOnce + 3 {
		upsert(t, s, tenant, Ticket{ID: fmt.Sprint(100 + i), Subject: fmt.Sprintf("Trouble %d", i), Source: "import"})
	}
	embed := func(limit, want int) {
		t.Helper()
		n, err := s.EmbedTickets(t.Context(), tenant, limit)
		require.NoError(t, err)
		require.Equal(t, want, n)
	}
	embed(2, 2)
	require.Contains(t, fake.texts[0], fmt.Sprintf("trouble %d", embedAtOnce+2), "the newest first")
	embed(1000, embedAtOnce+1)
	embed(1000, 0)
	upsert(t, s, tenant, Ticket{ID: "100", Subject: "Another trouble", Source: "import"})
	embed(1000, 1)
	s.hybrid.cfg.Model = "another"
	embed(1000, embedAtOnce+3)
	s.hybrid.cfg.MaxTickets, s.hybrid.cfg.Model = 5, "a third"
	embed(1000, 5)
}

// TestWithoutItsHelpersASearchGoesOnWithWords takes away one after the other: the answer of the server is what it was.
func TestWithoutItsHelpersASearchGoesOnWithWords(t *testing.T) {
	t.Parallel()
	plain := dbtest.New(t).DB
	for _, tt := range []struct {
		outcome string
		set     func(*fakeEmbedder)
	}{
		{hybridNoExtension, func(*fakeEmbedder) {}},
		{hybridUnavailable, func(f *fakeEmbedder) { f.err = fault.New(fault.Unavailable, "busy") }},
		{hybridRefused, func(f *fakeEmbedder) { f.err = fault.New(fault.Invalid, "bad key") }},
		{hybridFailed, func(f *fakeEmbedder) { f.err = fmt.Errorf("something else") }},
		{hybridTimeout, func(f *fakeEmbedder) { f.hang = true }},
	} {
		s, fake := withEmbedder(plain, func(c *EmbeddingsConfig) { c.Timeout = 20 * time.Millisecond })
		tt.set(fake)
		upsert(t, s, tenant, vpnTicket("1"))
		require.Equal(t, []string{"1"}, similar(t, s, tenant, Query{Subject: "VPN error 809"}), tt.outcome)
		if tt.outcome == hybridTimeout {
			require.Eventually(t, func() bool { return s.searches(tt.outcome) > 0 }, 10*time.Second, time.Millisecond)
		}
		require.InDelta(t, 1, s.searches(tt.outcome), 0, tt.outcome)
		require.Zero(t, s.searches(hybridUsed))
		n, err := s.EmbedTickets(t.Context(), tenant, 10)
		require.NoError(t, err, "without the table there is nothing to do")
		require.Zero(t, n)
	}
}

func TestAFaultOfTheServerLeavesTicketsForTheNextRun(t *testing.T) {
	t.Parallel()
	s, fake := newVectorStore(t, nil)
	upsert(t, s, tenant, hingeTicket())
	fake.err = fault.New(fault.Unavailable, "busy")
	_, err := s.EmbedTickets(t.Context(), tenant, 10)
	require.True(t, fault.Is(err, fault.Unavailable))
	fake.err = nil
	n, err := s.EmbedTickets(t.Context(), tenant, 10)
	require.NoError(t, err)
	require.Equal(t, 1, n)
}

func TestEmbeddingsAreCheckedWhenTheyAreOn(t *testing.T) {
	t.Parallel()
	cfg := DefaultConfig()
	cfg.Embeddings = EmbeddingsConfig{}
	require.Empty(t, cfg.Validate(), "off")
	cfg.Embeddings.Enabled = true
	require.Len(t, cfg.Validate(), 5, "base_url, model, dimensions, timeout, max_tickets")
	cfg = DefaultConfig()
	cfg.Embeddings.Enabled = true
	require.Empty(t, cfg.Validate())
}

func TestFusingKeepsWhatBothFindFirst(t *testing.T) {
	t.Parallel()
	ranked := []Ranked{{documentID: 1}, {documentID: 2}, {documentID: 3}, {documentID: 4}}
	for i := range 3 {
		ranked[i].Features.Relevance = 1
	}
	fuse(ranked, []neighbour{{DocumentID: 3, Similarity: 0.9}, {DocumentID: 4, Similarity: 0.8}})
	order := []int64{}
	for _, r := range ranked {
		order = append(order, r.documentID)
	}
	require.Equal(t, []int64{3, 1, 2, 4}, order)
	require.InDelta(t, 0.9, ranked[0].Similarity, 1e-9)
}
