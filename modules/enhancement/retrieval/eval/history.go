package eval

import (
	"context"
	"fmt"
	"io"
	"math"
	"text/tabwriter"
	"time"

	"aiagents/internal/fault"
	"aiagents/modules/enhancement/retrieval"
)

const (
	// historyTickets and historyQueries bound what an evaluation of a tenant's own history reads and asks, newest first.
	historyTickets = 100_000
	historyQueries = 1_000
	// fewestQueries is when a mean begins to mean something. Its standard error is printed with it.
	fewestQueries = 10
)

// HistoryReport is how well a tenant's own tickets find those that had the same cause.
type HistoryReport struct {
	Tenant string `json:"tenant"`
	// Tickets are the solved tickets looked at, Groups the sets of them that are linked.
	Tickets int     `json:"tickets"`
	Groups  int     `json:"groups"`
	Links   Links   `json:"links"`
	Metrics Metrics `json:"metrics"`
	// Error is the standard error of the nDCG@10: with few groups, it is large.
	Error float64 `json:"ndcg_at_10_standard_error"`
	// Shown is the mean number of results above the configured floor, Right the share of them that is linked. A result that
	// nobody linked counts as wrong, so the true share is higher.
	Shown float64 `json:"shown_per_query"`
	Right float64 `json:"right"`
}

// History is what an evaluation of a tenant's own tickets reads: retrieval's own store.
type History interface {
	// Solved gives the newest tickets with a usable resolution, oldest first.
	Solved(ctx context.Context, tenantID string, newest int) ([]retrieval.Past, error)
	Rank(ctx context.Context, tenantID string, q retrieval.Query) ([]retrieval.Ranked, error)
}

// RunHistory searches a tenant's own history for the newest ticket of each group of linked tickets, with that ticket left
// out, and measures whether the others of its group are found. It only reads.
func RunHistory(ctx context.Context, store History, tenantID string, floor float64) (HistoryReport, error) {
	report := HistoryReport{Tenant: tenantID}
	history, err := store.Solved(ctx, tenantID, historyTickets)
	if err != nil {
		return report, fmt.Errorf("read history: %w", err)
	}
	joined, links := groups(history, fewestQueries)
	report.Tickets, report.Groups, report.Links = len(history), len(joined), links
	if len(joined) < fewestQueries {
		return report, fault.Newf(fault.NotFound, "the %d solved tickets of %s hold %d groups of linked tickets, and %d are needed for a figure: "+
			"tickets count as linked by a tag such as duplicate-of:ID, by a resolution that names another ticket, by the same resolution word for word, or by the same two or more tags",
			len(history), tenantID, len(joined), fewestQueries)
	}
	if len(joined) > historyQueries {
		joined = joined[len(joined)-historyQueries:]
	}
	var all []measured
	for _, group := range joined {
		asked, relevant := history[group[len(group)-1]], map[string]bool{}
		for _, i := range group[:len(group)-1] {
			relevant[history[i].TicketID] = true
		}
		started := time.Now()
		ranked, err := store.Rank(ctx, tenantID, retrieval.Query{
			Subject: asked.Subject, Description: asked.Description, ExcludeTicketID: asked.TicketID, AccountID: asked.AccountID, Limit: resultLimit,
		})
		if err != nil {
			return report, fmt.Errorf("search for %s: %w", asked.TicketID, err)
		}
		hits := hits(ranked, relevant)
		all = append(all, measured{tenant: tenantID, relevant: len(relevant), took: time.Since(started), hits: hits})
		effect := FloorEffect{Floor: floor}
		effect.add(ranked, hits, len(joined))
		report.Shown, report.Right = report.Shown+effect.Shown, report.Right+effect.Right
	}
	if report.Shown > 0 {
		report.Right /= report.Shown
	}
	report.Metrics = summarise(tenantID, len(history), all)
	for _, q := range all {
		report.Error += math.Pow(q.ndcg(10)-report.Metrics.NDCG10, 2)
	}
	report.Error = math.Sqrt(report.Error/float64(len(all)-1)) / math.Sqrt(float64(len(all)))
	return report, nil
}

// WriteTable prints the report for people.
func (r HistoryReport) WriteTable(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	writeMetrics(t, []Metrics{r.Metrics})
	fmt.Fprintf(t, "\nstandard error of the nDCG@10: %.3f\n", r.Error)
	fmt.Fprintf(t, "%d solved tickets, %d groups of linked ones: by tag %d, by a resolution that names another ticket %d\n",
		r.Tickets, r.Groups, r.Links.Tags, r.Links.References)
	if r.Links.Proxies {
		fmt.Fprintf(t, "these links alone were too few, so proxies were used too: the same resolution (%d tickets), the same tags (%d tickets)\n",
			r.Links.SameResolution, r.Links.SameTags)
	}
	fmt.Fprintf(t, "shown above the floor: %.2f a query, %.1f %% of them linked\n", r.Shown, 100*r.Right)
	return t.Flush()
}
