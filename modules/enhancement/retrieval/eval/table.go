package eval

import (
	"fmt"
	"io"
	"text/tabwriter"
)

func writeMetrics(w io.Writer, all []Metrics) {
	fmt.Fprintln(w, "tenant\tdocuments\tqueries\tMRR@10\tMAP@100\tP@1\tR@5\tR@10\tnDCG@10\tms median\tms p95\t")
	for _, m := range all {
		fmt.Fprintf(w, "%s\t%d\t%d\t%.4f\t%.4f\t%.4f\t%.4f\t%.4f\t%.4f\t%.1f\t%.1f\t\n", m.Tenant, m.Documents, m.Queries,
			m.MRR10, m.MAP100, m.P1, m.Recall5, m.Recall10, m.NDCG10, m.MedianMS, m.P95MS)
	}
}

// WriteTable prints the report for people.
func (r Report) WriteTable(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	writeMetrics(t, append([]Metrics{r.Overall}, r.Tenants...))
	fmt.Fprintf(t, "\nstored and indexed in %.2f ms a document\n\n", r.ImportMS)
	fmt.Fprintln(t, "probabilities, with the answers of every second query taken out of the history")
	fmt.Fprintln(t, "probability\tresults\tpredicted\tobserved\t")
	for _, b := range r.Calibration.Bins {
		fmt.Fprintf(t, "%.2f to %.2f\t%d\t%.3f\t%.3f\t\n", b.From, b.To, b.Results, b.Predicted, b.Observed)
	}
	c := r.Calibration
	fmt.Fprintf(t, "\nBrier %.4f (always the base rate: %.4f), ECE %.4f; a refit on this data gives base %.3f, rank %.3f, crowd %.3f, length %.3f\n\n",
		c.Brier, c.BaseBrier, c.ECE, c.Refit[0], c.Refit[1], c.Refit[2], c.Refit[3])
	fmt.Fprintln(t, "floor\tshown a query\tright\tnothing\tthough right\t")
	for _, f := range r.Floors {
		fmt.Fprintf(t, "%.2f\t%.2f\t%.1f %%\t%.1f %%\t%.1f %%\t\n", f.Floor, f.Shown, 100*f.Right, 100*f.Silent, 100*f.Missed)
	}
	return t.Flush()
}
