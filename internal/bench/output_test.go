package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// measured is a run with what the model of capacity needs.
func measured() document {
	intake := &result{Scenario: "intake"}
	intake.add("serve CPU", 0.2, "ms/webhook", "lower")
	intake.add("postgres CPU", 0.3, "ms/webhook", "lower")
	intake.add("pgbench, 8 clients", 5000, "1/s", "")
	intake.add("pgbench, 32 clients", 6000, "1/s", "")
	intake.addLatency("closed loop", newHistogram())
	tickets := &result{Scenario: "tickets", Shares: []share{{"work", time.Second, 1 << 20}}}
	for name, v := range map[string]float64{
		"work CPU": 3, "postgres CPU": 2, "WAL": 16, "stored": 8, "transactions": 9, "prompt tokens": 1500,
		"completion tokens": 400, "model cost": 0.5, "work peak RSS": 100,
	} {
		tickets.add(name, v, "", "")
	}
	return document{Seed: 1, Results: []*result{intake, tickets}}
}

func TestTheDocumentGetsItsTablesBetweenTheMarkersOnly(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "doc.md")
	const page = "before\n<!-- bench:tickets -->\nold\n<!-- /bench:tickets -->\nmiddle\n<!-- bench:growth -->\nkept\n<!-- /bench:growth -->\nafter\n"
	require.NoError(t, os.WriteFile(file, []byte(page), 0o600))
	d := measured()
	require.NoError(t, d.writeDoc(file))
	require.NoError(t, d.writeDoc(file), "a second run replaces the first one's table")
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	text := string(content)
	require.NotContains(t, text, "old")
	require.Contains(t, text, "| work CPU | 3 |  |")
	for _, want := range []string{"before\n", "middle\n", "kept\n", "after\n"} {
		require.Contains(t, text, want)
	}
	require.Equal(t, 1, bytes.Count(content, []byte("| work CPU |")))
}

func TestTheFiguresSurviveTheirFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "bench.json")
	d := measured()
	require.NoError(t, d.write(options{jsonFile: file}))
	again, err := readDocument(file)
	require.NoError(t, err)
	want, err := json.Marshal(d)
	require.NoError(t, err)
	got, err := json.Marshal(again)
	require.NoError(t, err)
	require.JSONEq(t, string(want), string(got))
}

func TestChartsAreWellFormed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, writeCharts(dir, measured().Results))
	for _, name := range []string{"intake-latency.svg", "tickets-cpu.svg"} {
		content, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		d := xml.NewDecoder(bytes.NewReader(content))
		for err == nil {
			_, err = d.Token()
		}
		require.True(t, errors.Is(err, io.EOF), "%s: %v", name, err)
		require.NotContains(t, string(content), "NaN")
	}
}

func TestTheModelMultipliesWhatATicketCosts(t *testing.T) {
	t.Parallel()
	p, err := measuredCosts(measured().Results)
	require.NoError(t, err)
	a := assumptions{modelSeconds: 10, utilisation: 0.5, retention: 90, pool: 20, concurrency: 400}
	c := p.at(100, a)
	require.InDelta(t, 3, c.workers, 0, "100 a second for 10 s are 1,000 jobs at once: three workers of 400")
	require.InDelta(t, 100*0.0032/0.5, c.productCores, 1e-9)
	require.InDelta(t, 100*0.0023/0.5, c.pgCores, 1e-9)
	require.InDelta(t, 1000, c.commits, 1e-9)
	require.InDelta(t, 100*8.0*86400*90/(1<<20), c.storedGB, 1e-6)
	require.InDelta(t, 100*0.0005*86400*30, c.modelUSDMonth, 1e-6)
	a.modelSeconds = 0.1
	require.InDelta(t, 1, p.at(100, a).workers, 0, "0.3 s of CPU a second fit one core")

	_, err = measuredCosts(measured().Results[:1])
	require.ErrorContains(t, err, "tickets: work CPU", "what was not measured must not be taken for nothing")
}

func TestGrowthBeyondItsBoundIsNamed(t *testing.T) {
	t.Parallel()
	small := size{name: "0", intake: 1000, tickets: 300, added: 20}
	var fine, worse result
	fine.compareSizes("rows", []size{small, {name: "10", intake: 700, tickets: 290, added: 29}})
	require.Empty(t, fine.Exceeded)
	worse.compareSizes("rows", []size{small, {name: "10", intake: 600, tickets: 500, added: 31}})
	require.Len(t, worse.Exceeded, 2)
	require.Contains(t, worse.Exceeded[0], "webhooks/s is 1.67 times worse")
	require.Contains(t, worse.Exceeded[1], "added p95 ms is 1.55 times worse")
}

func TestOnlyARealDifferenceOfTwoBuildsIsCalledOne(t *testing.T) {
	t.Parallel()
	rows := func(b []float64) []string {
		c := comparison{"intake", "closed loop", "1/s", "higher", []float64{100, 101, 99, 102, 98}, b}
		r := comparedResult(scenario{name: "intake"}, []*build{{name: "a"}, {name: "b"}}, []comparison{c}, 5)
		return r.Grids[0].Rows[0]
	}
	require.Equal(t, "+20.0 % better", rows([]float64{120, 121, 119, 122, 118})[4])
	require.Equal(t, "-20.0 % worse", rows([]float64{80, 81, 79, 82, 78})[4])
	require.Equal(t, "~", rows([]float64{101, 100, 99, 103, 97})[4])
}
