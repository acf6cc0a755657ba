package main

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"text/tabwriter"
	"time"
)

// figure prints a value with three significant digits or as a whole number.
func figure(v float64) string {
	a := math.Abs(v)
	switch {
	case a >= 1000 || a == math.Trunc(a):
		return strconv.FormatFloat(v, 'f', 0, 64)
	case a >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case a >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}

// goalText says what was asked for and whether it was reached.
func (m metric) goalText() string {
	met, ok := m.met()
	if !ok {
		return ""
	}
	sign, verdict := "≤", "met"
	if m.Better == "higher" {
		sign = "≥"
	}
	if !met {
		verdict = "missed"
	}
	return fmt.Sprintf("%s %s %s", sign, figure(*m.Goal), verdict)
}

// writeTables prints the results for people.
func writeTables(out io.Writer, results []*result) {
	for _, r := range results {
		fmt.Fprintf(out, "\n%s (%s): %s\n", r.Scenario, r.Build, r.About)
		for _, n := range r.Notes {
			fmt.Fprintf(out, "  %s\n", n)
		}
		w := tabwriter.NewWriter(out, 2, 0, 2, ' ', 0)
		for _, m := range r.Metrics {
			fmt.Fprintf(w, "  %s\t%s\t%s\t%s\n", m.Name, figure(m.Value), m.Unit, m.goalText())
		}
		_ = w.Flush()
		for _, sh := range r.Shares {
			fmt.Fprintf(w, "  %s\tCPU %s\tpeak %.0f MiB\n", sh.Name, sh.CPU.Round(10*time.Millisecond), mib(sh.PeakRSS))
		}
		_ = w.Flush()
		for _, g := range append(r.Grids[:len(r.Grids):len(r.Grids)], r.Profiles...) {
			fmt.Fprintf(out, "\n  %s\n", g.Title)
			writeRow(w, g.Header)
			for _, row := range g.Rows {
				writeRow(w, row)
			}
			_ = w.Flush()
		}
		for _, e := range r.Exceeded {
			fmt.Fprintf(out, "  BEYOND ITS BOUND: %s\n", e)
		}
	}
}

func writeRow(w io.Writer, cells []string) {
	for _, c := range cells {
		fmt.Fprintf(w, "  %s\t", c)
	}
	fmt.Fprintln(w)
}
