package eval

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"aiagents/db"
	"aiagents/internal/fault"
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
	// Floor says what a note would show with the default floor and limit.
	Floor FloorEffect `json:"floor"`
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
	corpus, err := readDocuments(o.Data, "corpus.jsonl.gz")
	if err != nil {
		return report, err
	}
	queries, err := readDocuments(o.Data, "queries."+o.Split+".jsonl.gz")
	if err != nil {
		return report, err
	}
	relevant, err := readLabels(o.Data, "qrels."+o.Split+".tsv.gz")
	if err != nil {
		return report, err
	}
	log := o.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	store := retrieval.New(database, retrieval.DefaultConfig(), log)
	byTenant := map[string][]document{}
	for _, d := range corpus {
		byTenant[d.Tenant] = append(byTenant[d.Tenant], d)
	}
	defer func() {
		for tenant := range byTenant {
			if perr := store.Purge(context.WithoutCancel(ctx), tenantPrefix+tenant); err == nil {
				err = perr
			}
		}
	}()
	started := time.Now()
	for tenant, documents := range byTenant {
		if err := load(ctx, store, tenant, documents); err != nil {
			return report, err
		}
	}
	report.ImportMS = float64(time.Since(started).Microseconds()) / 1000 / float64(max(1, len(corpus)))
	return report, report.measure(ctx, store, o.Split, byTenant, queries, relevant)
}

func load(ctx context.Context, store *retrieval.Store, tenant string, documents []document) error {
	for batch := range slices.Chunk(documents, importBatch) {
		tickets := make([]retrieval.Ticket, len(batch))
		for i, d := range batch {
			tickets[i] = retrieval.Ticket{ID: d.ID, Subject: d.Title, Description: d.Text, Source: "import"}
		}
		if _, err := store.UpsertTickets(ctx, tenantPrefix+tenant, tickets); err != nil {
			return fmt.Errorf("load tenant %s: %w", tenant, err)
		}
	}
	return nil
}

func (r *Report) measure(ctx context.Context, store *retrieval.Store, split string, corpus map[string][]document, queries []document, relevant labels) error {
	r.Split = split
	var all []measured
	var results []judged
	for _, q := range queries {
		wanted := relevant[q.ID]
		if len(wanted) == 0 {
			return fault.Newf(fault.Invalid, "query %s has no label", q.ID)
		}
		started := time.Now()
		ranked, err := store.Rank(ctx, tenantPrefix+q.Tenant, retrieval.Query{
			Subject: q.Title, Description: q.Text, ExcludeTicketID: q.ID, Limit: resultLimit, AnyResolution: true,
		})
		took := time.Since(started)
		if err != nil {
			return fmt.Errorf("search for %s: %w", q.ID, err)
		}
		m := measured{tenant: q.Tenant, relevant: len(wanted), took: took, hits: make([]bool, len(ranked))}
		for i, hit := range ranked {
			m.hits[i] = wanted[hit.TicketID]
			if i < calibratedResults {
				results = append(results, judged{hit.Evidence, hit.Probability, m.hits[i]})
			}
		}
		r.Floor.add(ranked, m.hits, len(queries))
		all = append(all, m)
	}
	if r.Floor.Shown > 0 {
		r.Floor.Right /= r.Floor.Shown
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
	r.Calibration = calibration(results)
	return nil
}

// add counts one of n queries. Right is a sum until the end.
func (f *FloorEffect) add(ranked []retrieval.Ranked, hits []bool, n int) {
	cfg := retrieval.DefaultConfig()
	f.Floor = cfg.SimilarFloor
	shown := 0
	for i := range ranked[:min(len(ranked), cfg.SimilarLimit)] {
		if ranked[i].Probability < cfg.SimilarFloor {
			break
		}
		shown++
		f.Shown += 1 / float64(n)
		f.Right += value(hits[i]) / float64(n)
	}
	if shown == 0 {
		f.Silent += 1 / float64(n)
		f.Missed += value(slices.Contains(hits[:min(len(hits), cfg.SimilarLimit)], true)) / float64(n)
	}
}
