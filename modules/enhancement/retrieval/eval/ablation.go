package eval

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
	"time"

	"aiagents/db"
	"aiagents/modules/enhancement/retrieval"
)

// Ablation says what each part of the ranking's second step is worth.
type Ablation struct {
	Split    string    `json:"split"`
	Tenants  []string  `json:"tenants"`
	Variants []Variant `json:"variants"`
}

// Variant is one way to rank the candidates, in nDCG@10.
type Variant struct {
	Name    string    `json:"name"`
	All     float64   `json:"all"`
	Tenants []float64 `json:"tenants"`
	// LeftOut is what comes out when the weights for each tenant's queries are fitted on the other tenants only.
	LeftOut        float64   `json:"left_out,omitempty"`
	LeftOutTenants []float64 `json:"left_out_tenants,omitempty"`
}

// weightCount is the number of weights, relevance first.
const weightCount = 5

// weightSet holds weights, or what they weigh, in the order of retrieval.Weights.
type weightSet [weightCount]float64

func setOf(w retrieval.Weights) weightSet {
	return weightSet{w.Relevance, w.Wording, w.Explained, w.Commonness, w.Nearness}
}

var (
	textOnly = weightSet{1, 1, 1, 1, 0}
	allParts = weightSet{1, 1, 1, 1, 1}
	// parts are the ways to rank whose weights are fitted as well.
	parts = []struct {
		name string
		uses weightSet
	}{
		{"BM25 only", weightSet{1}},
		{"BM25 and wording", weightSet{1, 1}},
		{"BM25 and explained", weightSet{1, 0, 1}},
		{"BM25 and commonness", weightSet{1, 0, 0, 1}},
		{"text: all four", textOnly},
		{"all but wording", weightSet{1, 0, 1, 1, 1}},
		{"all but explained", weightSet{1, 1, 0, 1, 1}},
		{"all but commonness", weightSet{1, 1, 1, 0, 1}},
		{"all, as searches rank", allParts},
	}
)

// judgedQuery is one query with all its candidates.
type judgedQuery struct {
	tenant     string
	relevant   int
	candidates []judgedCandidate
}

type judgedCandidate struct {
	features weightSet
	trusted  float64 // nearness without asking whether the numbers tell anything
	relevant bool
}

// Ablate ranks every query with parts of the ranking left out: with the product's weights, and with weights fitted on tenants
// that are not the query's. Then it deals the ticket numbers out at random, which a ranking must survive.
func Ablate(ctx context.Context, database *db.DB, o Options) (Ablation, error) {
	data, err := readDataset(o.Data, o.Split)
	if err != nil {
		return Ablation{}, err
	}
	queries, err := gatherFeatures(ctx, database, o, data)
	if err != nil {
		return Ablation{}, err
	}
	random, err := gatherFeatures(ctx, database, o, data.renumbered())
	if err != nil {
		return Ablation{}, err
	}
	tenants := map[string]bool{}
	for _, q := range queries {
		tenants[q.tenant] = true
	}
	a := Ablation{Split: o.Split, Tenants: slices.Sorted(maps.Keys(tenants))}
	weights := setOf(retrieval.DefaultWeights())
	for _, part := range parts {
		v := a.judge(part.name, queries, weights.masked(part.uses))
		a.leaveOut(&v, queries, part.uses)
		a.Variants = append(a.Variants, v)
	}
	a.Variants = append(a.Variants,
		a.judge("nearness always trusted", trusting(queries), weights),
		a.judge("numbers at random: text", random, weights.masked(textOnly)),
		a.judge("numbers at random: all", random, weights),
		a.judge("numbers at random: always trusted", trusting(random), weights))
	return a, nil
}

func gatherFeatures(ctx context.Context, database *db.DB, o Options, data dataset) ([]judgedQuery, error) {
	queries := make([]judgedQuery, len(data.queries))
	err := data.inDatabase(ctx, database, o.Log, func(store *retrieval.Store, _ time.Duration) error {
		for i, q := range data.queries {
			ranked, err := find(ctx, store, q)
			if err != nil {
				return err
			}
			queries[i] = judgedQuery{tenant: q.Tenant, relevant: len(data.relevant[q.ID]), candidates: make([]judgedCandidate, len(ranked))}
			for j, r := range ranked {
				f := r.Features
				queries[i].candidates[j] = judgedCandidate{
					features: weightSet{f.Relevance, f.Wording, f.Explained, f.Commonness, f.Bursts * f.Nearness},
					trusted:  f.Nearness, relevant: data.relevant[q.ID][r.TicketID],
				}
			}
		}
		return nil
	})
	return queries, err
}

// trusting is what the queries would be if every history were believed to be numbered in time.
func trusting(queries []judgedQuery) []judgedQuery {
	out := slices.Clone(queries)
	for i := range out {
		out[i].candidates = slices.Clone(out[i].candidates)
		for j := range out[i].candidates {
			out[i].candidates[j].features[weightCount-1] = out[i].candidates[j].trusted
		}
	}
	return out
}

// judge ranks all queries by the given weights.
func (a Ablation) judge(name string, queries []judgedQuery, weights weightSet) Variant {
	v := Variant{Name: name, Tenants: make([]float64, len(a.Tenants))}
	for i, tenant := range a.Tenants {
		sum, n := 0.0, 0.0
		for _, q := range queries {
			if q.tenant == tenant {
				sum, n = sum+q.ndcg(weights), n+1
			}
		}
		v.Tenants[i] = sum / n
		v.All += sum / float64(len(queries))
	}
	return v
}

// leaveOut judges each tenant by weights that its queries had no part in.
func (a Ablation) leaveOut(v *Variant, queries []judgedQuery, uses weightSet) {
	v.LeftOutTenants = make([]float64, len(a.Tenants))
	for i, tenant := range a.Tenants {
		var own, others []judgedQuery
		for _, q := range queries {
			if q.tenant == tenant {
				own = append(own, q)
			} else {
				others = append(others, q)
			}
		}
		judged := a.judge(v.Name, own, fitWeights(others, uses))
		v.LeftOutTenants[i] = judged.Tenants[i]
		v.LeftOut += judged.Tenants[i] * float64(len(own)) / float64(len(queries))
	}
}

func (q judgedQuery) ndcg(weights weightSet) float64 {
	type scored struct {
		rank     float64
		relevant bool
	}
	ranked := make([]scored, len(q.candidates))
	for i, c := range q.candidates {
		ranked[i] = scored{weights.dot(c.features), c.relevant}
	}
	slices.SortStableFunc(ranked, func(a, b scored) int { return compareDescending(a.rank, b.rank) })
	hits := make([]bool, len(ranked))
	for i, r := range ranked {
		hits[i] = r.relevant
	}
	return measured{hits: hits, relevant: q.relevant}.ndcg(10)
}

// WriteTable prints the ablation for people.
func (a Ablation) WriteTable(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(t, "nDCG@10\tall\t")
	for _, tenant := range a.Tenants {
		fmt.Fprintf(t, "%s\t", tenant)
	}
	fmt.Fprint(t, "| tenant left out: all\t")
	for _, tenant := range a.Tenants {
		fmt.Fprintf(t, "%s\t", tenant)
	}
	fmt.Fprintln(t)
	for _, v := range a.Variants {
		fmt.Fprintf(t, "%s\t%.4f\t", v.Name, v.All)
		for _, n := range v.Tenants {
			fmt.Fprintf(t, "%.4f\t", n)
		}
		if v.LeftOutTenants != nil {
			fmt.Fprintf(t, "%.4f\t", v.LeftOut)
			for _, n := range v.LeftOutTenants {
				fmt.Fprintf(t, "%.4f\t", n)
			}
		}
		fmt.Fprintln(t)
	}
	return t.Flush()
}
