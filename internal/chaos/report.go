package main

import (
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"strings"
	"time"
)

// result is one scenario, played and judged.
type result struct {
	scenario scenario
	findings
	counts  map[string]int
	extra   map[string]string
	sent    int
	refused int64
	took    time.Duration
	skipped string // why it was not played
}

func (r result) short() string {
	verdict := "held"
	if len(r.broken) > 0 {
		verdict = "BROKEN"
	}
	return fmt.Sprintf("%s: %d tickets, %d lost, %d duplicates, %d failed visibly, re-run p95 %s, e2e p95 %s, in %s",
		verdict, r.tickets, r.lost, r.duplicates, r.failed, seconds(percentile(r.recovery, 0.95)), seconds(percentile(r.latency, 0.95)),
		r.took.Round(time.Second))
}

func seconds(d time.Duration) string {
	if d == 0 {
		return "–"
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

// spread is p50, p95 and the longest.
func spread(sorted []time.Duration) string {
	if len(sorted) == 0 {
		return "–"
	}
	return fmt.Sprintf("%.1f / %.1f / %.1f", percentile(sorted, 0.5).Seconds(), percentile(sorted, 0.95).Seconds(), sorted[len(sorted)-1].Seconds())
}

// writeReport prints the run in Markdown.
func writeReport(w io.Writer, o options, commit string, results []result, took time.Duration) {
	p := func(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }
	timing := "the product's own times"
	if o.quick {
		timing = "shortened times (-quick)"
	}
	p("# Chaos report\n")
	p("Seed %d · commit %s · %s · %d tenants · %d serve and %d work processes · %s · %d CPUs · %s in all\n",
		o.seed, orDash(commit), time.Now().UTC().Format("2006-01-02 15:04 MST"), o.tenants, serveProcesses, workProcesses, timing,
		runtime.NumCPU(), took.Round(time.Second))
	p("| scenario | tickets | 202s | kills | Postgres crashes | lost | duplicates | failed visibly | re-run after a kill p50 / p95 / max s (runs) | webhook to note p50 / p95 / max s | model calls | paid again, in a named window | paid again, outside | verdict |")
	p("|---|---|---|---|---|---|---|---|---|---|---|---|---|---|")
	for _, r := range results {
		if r.skipped != "" {
			p("| %s | not run: %s | | | | | | | | | | | | |", r.scenario.name, r.skipped)
			continue
		}
		verdict := "held"
		if len(r.broken) > 0 {
			verdict = "**broken**"
		}
		excused := 0
		for why, n := range r.repaid {
			if why != "" {
				excused += n
			}
		}
		p("| %s | %d | %d | %d | %d | %d | %d | %d | %s (%d) | %s | %d | %d | %d | %s |", r.scenario.name, r.tickets, r.accepted,
			r.counts["work killed"]+r.counts["serve killed"], r.counts["Postgres crashed"], r.lost, r.duplicates, r.failed,
			spread(r.recovery), len(r.recovery), spread(r.latency), r.calls, excused, r.repaid[""], verdict)
	}
	p("\n## Details\n")
	for _, r := range results {
		if r.skipped == "" {
			details(p, r)
		}
	}
}

func details(p func(string, ...any), r result) {
	p("**%s** – %s. %s.\n", r.scenario.name, r.scenario.about, r.took.Round(time.Second))
	for _, name := range slices.Sorted(maps.Keys(r.counts)) {
		p("- %s: %d", name, r.counts[name])
	}
	if r.refused > 0 {
		p("- tries to deliver a webhook that got no 202 and were repeated: %d", r.refused)
	}
	if r.factsOnly > 0 {
		p("- notes without the model (facts only): %d", r.factsOnly)
	}
	if r.everDuplicated > 0 {
		p("- tickets on which a second note stood for a while: %d", r.everDuplicated)
	}
	if text := r.explained(); text != "" {
		p("- model calls paid again: %s", text)
	}
	if r.unrecovered > 0 {
		p("- runs under way at a kill that needed no second claim: %d", r.unrecovered)
	}
	for _, message := range slices.Sorted(maps.Keys(r.failures)) {
		p("- failed visibly, %d times: %s", r.failures[message], message)
	}
	for _, name := range slices.Sorted(maps.Keys(r.extra)) {
		p("- %s: %s", name, r.extra[name])
	}
	for _, text := range r.broken {
		p("- BROKEN: %s", strings.ReplaceAll(text, "\n", " "))
	}
	p("")
}

func orDash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}
