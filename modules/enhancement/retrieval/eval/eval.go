package eval

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"aiagents/db"
	"aiagents/modules/enhancement/retrieval"
)

// Options say what is measured.
type Options struct {
	// Data is a folder with corpus.jsonl.gz, queries.SPLIT.jsonl.gz and qrels.SPLIT.tsv.gz.
	Data string
	// Split is the name of the queries, such as dev.
	Split string
	// Log takes warnings; nil drops them.
	Log *slog.Logger
}

// Report is the outcome of an evaluation.
type Report struct {
	Split       string           `json:"split"`
	Overall     Metrics          `json:"overall"`
	Tenants     []Metrics        `json:"tenants"`
	Calibration CalibrationTable `json:"calibration"`
	// Floors say what a note with the default limit would show at several floors, the default one first.
	Floors []FloorEffect `json:"floors"`
	// ImportMS is the time to store and index one document.
	ImportMS float64 `json:"import_ms_per_document"`
}

// FloorEffect says what the floor leaves over of the first results of each query.
type FloorEffect struct {
	Floor float64 `json:"floor"`
	// Shown is the mean number of results above the floor, Right the share of them that is relevant.
	Shown float64 `json:"shown_per_query"`
	Right float64 `json:"right"`
	// Silent is the share of queries with nothing above the floor, Missed the share of those with a relevant result below it.
	Silent float64 `json:"silent"`
	Missed float64 `json:"silent_but_found"`
}

const (
	tenantPrefix = "eval-"
	importBatch  = 500
	// resultLimit is the depth that MAP looks at.
	resultLimit = 100
)

// Run loads the data into tenants of its own, searches each query within its tenant, and removes what it loaded. The
// documents have no resolution, so searches do without that filter; everything else is as in production.
func Run(ctx context.Context, database *db.DB, o Options) (report Report, err error) {
	data, err := readDataset(o.Data, o.Split)
	if err != nil {
		return report, err
	}
	report.Split = o.Split
	err = data.inDatabase(ctx, database, o.Log, func(store *retrieval.Store, took time.Duration) error {
		report.ImportMS = float64(took.Microseconds()) / 1000 / float64(max(1, len(data.corpus)))
		return report.measure(ctx, store, data)
	})
	return report, err
}

// measure searches every query twice: for the ranking among all documents, and for the probabilities after every second
// query has lost its answers. In life many tickets have no precedent, and a probability must be able to say so.
func (r *Report) measure(ctx context.Context, store *retrieval.Store, data dataset) error {
	queries, relevant, corpus := data.queries, data.relevant, data.byTenant()
	var all []measured
	for _, q := range queries {
		started := time.Now()
		ranked, err := find(ctx, store, q)
		if err != nil {
			return err
		}
		took := time.Since(started)
		all = append(all, measured{tenant: q.Tenant, relevant: len(relevant[q.ID]), took: took, hits: hits(ranked, relevant[q.ID])})
	}
	documents := 0
	for _, tenant := range slices.Sorted(maps.Keys(corpus)) {
		documents += len(corpus[tenant])
		own := slices.DeleteFunc(slices.Clone(all), func(m measured) bool { return m.tenant != tenant })
		if len(own) > 0 {
			r.Tenants = append(r.Tenants, summarise(tenant, len(corpus[tenant]), own))
		}
	}
	r.Overall = summarise("all", documents, all)
	for i := 0; i < len(queries); i += 2 {
		answers := slices.Collect(maps.Keys(relevant[queries[i].ID]))
		if err := store.DeleteTickets(ctx, tenantPrefix+queries[i].Tenant, answers); err != nil {
			return fmt.Errorf("take out answers: %w", err)
		}
	}
	return r.measureProbabilities(ctx, store, queries, relevant)
}

func (r *Report) measureProbabilities(ctx context.Context, store *retrieval.Store, queries []document, relevant labels) error {
	var results []judged
	for _, floor := range []float64{retrieval.DefaultConfig().SimilarFloor, 0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5} {
		r.Floors = append(r.Floors, FloorEffect{Floor: floor})
	}
	for _, q := range queries {
		ranked, err := find(ctx, store, q)
		if err != nil {
			return err
		}
		hits := hits(ranked, relevant[q.ID])
		for i := range ranked[:min(len(ranked), calibratedResults)] {
			results = append(results, judged{ranked[i].Evidence, ranked[i].Probability, hits[i]})
		}
		for i := range r.Floors {
			r.Floors[i].add(ranked, hits, len(queries))
		}
	}
	for i := range r.Floors {
		if r.Floors[i].Shown > 0 {
			r.Floors[i].Right /= r.Floors[i].Shown
		}
	}
	r.Calibration = calibration(results)
	return nil
}

func find(ctx context.Context, store *retrieval.Store, q document) ([]retrieval.Ranked, error) {
	ranked, err := store.Rank(ctx, tenantPrefix+q.Tenant, retrieval.Query{
		Subject: q.Title, Description: q.Text, ExcludeTicketID: q.ID, Limit: resultLimit, AnyResolution: true,
	})
	if err != nil {
		return nil, fmt.Errorf("search for %s: %w", q.ID, err)
	}
	return ranked, nil
}

func hits(ranked []retrieval.Ranked, relevant map[string]bool) []bool {
	out := make([]bool, len(ranked))
	for i, r := range ranked {
		out[i] = relevant[r.TicketID]
	}
	return out
}

// add counts one of n queries. Right is a sum until the end.
func (f *FloorEffect) add(ranked []retrieval.Ranked, hits []bool, n int) {
	limit, shown := retrieval.DefaultConfig().SimilarLimit, 0
	for i := range ranked[:min(len(ranked), limit)] {
		if ranked[i].Probability < f.Floor {
			break
		}
		shown++
		f.Shown += 1 / float64(n)
		f.Right += value(hits[i]) / float64(n)
	}
	if shown == 0 {
		f.Silent += 1 / float64(n)
		f.Missed += value(slices.Contains(hits[:min(len(hits), limit)], true)) / float64(n)
	}
}
