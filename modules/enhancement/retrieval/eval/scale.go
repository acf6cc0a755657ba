package eval

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5"

	"aiagents/db"
	"aiagents/modules/enhancement/retrieval"
)

// ScaleOptions say how far a history is grown.
type ScaleOptions struct {
	// Sizes are the numbers of tickets at which is measured, ascending.
	Sizes []int
	// Queries and Inserts are how many of each are timed at each size.
	Queries int
	Inserts int
	// Progress is called with the number of tickets stored so far.
	Progress func(tickets int)
}

// ScaleStep is what was measured at one size. Times are in milliseconds.
type ScaleStep struct {
	Tickets        int     `json:"tickets"`
	LoadMS         float64 `json:"load_ms_per_ticket"`
	QueryMedianMS  float64 `json:"query_median_ms"`
	QueryP95MS     float64 `json:"query_p95_ms"`
	InsertMedianMS float64 `json:"insert_median_ms"`
	InsertP95MS    float64 `json:"insert_p95_ms"`
	// Found is the share of queries, garbled copies of a stored ticket, that had this ticket first.
	Found float64 `json:"found"`
}

const scaleTenant = tenantPrefix + "scale"

// Scale grows one tenant's history of made-up tickets and times searches and single inserts at each size. The words follow
// Zipf's law, as those of a language do: the posting lists of common words are what makes a large history slow.
func Scale(ctx context.Context, database *db.DB, o ScaleOptions) (steps []ScaleStep, err error) {
	store := retrieval.New(database, retrieval.DefaultConfig(), slog.New(slog.DiscardHandler))
	defer func() {
		if perr := store.Purge(context.WithoutCancel(ctx), scaleTenant); err == nil {
			err = perr
		}
	}()
	corpus := NewCorpus()
	stored := 0
	for _, size := range o.Sizes {
		started, before := time.Now(), stored
		for stored < size {
			batch := make([]retrieval.Ticket, min(500, size-stored))
			for i := range batch {
				batch[i] = corpus.Ticket(stored + i)
			}
			if _, err := store.UpsertTickets(ctx, scaleTenant, batch); err != nil {
				return steps, fmt.Errorf("grow to %d tickets: %w", size, err)
			}
			stored += len(batch)
			if o.Progress != nil {
				o.Progress(stored)
			}
		}
		step := ScaleStep{Tickets: size}
		if stored > before {
			step.LoadMS = float64(time.Since(started).Microseconds()) / 1000 / float64(stored-before)
		}
		if err := timeQueries(ctx, store, corpus, stored, o.Queries, &step); err != nil {
			return steps, err
		}
		if err := timeInserts(ctx, database, store, corpus, stored, o.Inserts, &step); err != nil {
			return steps, err
		}
		stored += o.Inserts
		steps = append(steps, step)
	}
	return steps, nil
}

func timeQueries(ctx context.Context, store *retrieval.Store, w *Corpus, stored, queries int, step *ScaleStep) error {
	times := make([]time.Duration, 0, queries)
	for i := range queries {
		original := w.Ticket(int(uint64(i) * 7919 % uint64(stored)))
		started := time.Now()
		ranked, err := store.Rank(ctx, scaleTenant, w.Garbled(original))
		if err != nil {
			return fmt.Errorf("search among %d tickets: %w", stored, err)
		}
		times = append(times, time.Since(started))
		if len(ranked) > 0 && ranked[0].TicketID == original.ID {
			step.Found += 1 / float64(queries)
		}
	}
	step.QueryMedianMS, step.QueryP95MS = percentile(times, 0.5), percentile(times, 0.95)
	return nil
}

func timeInserts(ctx context.Context, database *db.DB, store *retrieval.Store, w *Corpus, stored, inserts int, step *ScaleStep) error {
	if inserts == 0 {
		return nil
	}
	times := make([]time.Duration, 0, inserts)
	for i := range inserts {
		ticket := w.Ticket(stored + i)
		started := time.Now()
		err := database.InTenantTx(ctx, scaleTenant, func(ctx context.Context, tx pgx.Tx) error {
			return store.UpsertTicketTx(ctx, tx, scaleTenant, ticket)
		})
		if err != nil {
			return fmt.Errorf("insert into %d tickets: %w", stored, err)
		}
		times = append(times, time.Since(started))
	}
	step.InsertMedianMS, step.InsertP95MS = percentile(times, 0.5), percentile(times, 0.95)
	return nil
}

// WriteScaleTable prints the steps for people.
func WriteScaleTable(w io.Writer, steps []ScaleStep) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "tickets\tload ms each\tquery ms median\tp95\tinsert ms median\tp95\tfound first\t")
	for _, s := range steps {
		fmt.Fprintf(t, "%d\t%.2f\t%.1f\t%.1f\t%.1f\t%.1f\t%.0f %%\t\n", s.Tickets, s.LoadMS, s.QueryMedianMS, s.QueryP95MS,
			s.InsertMedianMS, s.InsertP95MS, 100*s.Found)
	}
	return t.Flush()
}

// vocabulary is about what a large history has, names and codes aside.
const vocabulary = 60_000

// Corpus makes up tickets. A number always gives the same ticket.
type Corpus struct{ words []string }

// NewCorpus spells the vocabulary.
func NewCorpus() *Corpus {
	syllables := strings.Fields("ba ce di fo gu la me ni po ru sa te vi zo ku pra ste blo cri fla gro tru spe")
	w := &Corpus{words: make([]string, vocabulary)}
	for i := range w.words {
		var word strings.Builder
		for n := i + len(syllables); n > 0; n /= len(syllables) {
			word.WriteString(syllables[n%len(syllables)])
		}
		w.words[i] = word.String()
	}
	return w
}

// Ticket is a past ticket.
func (w *Corpus) Ticket(number int) retrieval.Ticket {
	random := rand.New(rand.NewPCG(uint64(number), 42))
	zipf := rand.NewZipf(random, 1.1, 6, vocabulary-1)
	text := func(n int) string {
		words := make([]string, n)
		for i := range words {
			words[i] = w.words[zipf.Uint64()]
		}
		return strings.Join(words, " ")
	}
	return retrieval.Ticket{
		ID:          fmt.Sprint(100_000 + number),
		Subject:     text(4 + random.IntN(8)),
		Description: fmt.Sprintf("%s\nhost SRV-%02d error 0x%08x", text(20+random.IntN(120)), random.IntN(80), random.IntN(2000)),
		Resolution:  text(12),
		ResolvedAt:  time.Unix(1_700_000_000+int64(number)*60, 0).UTC(),
		Source:      "import",
	}
}

// Garbled is a query that another person with the same trouble might have written: a third of the words are others.
func (w *Corpus) Garbled(t retrieval.Ticket) retrieval.Query {
	random := rand.New(rand.NewPCG(uint64(len(t.Description)), 7))
	change := func(text string) string {
		words := strings.Fields(text)
		for i := range words {
			if random.IntN(3) == 0 {
				words[i] = w.words[random.IntN(vocabulary)/(1+random.IntN(200))]
			}
		}
		return strings.Join(words, " ")
	}
	return retrieval.Query{Subject: change(t.Subject), Description: change(t.Description), ExcludeTicketID: "900000"}
}
