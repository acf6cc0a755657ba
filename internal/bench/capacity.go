package main

import (
	"flag"
	"fmt"
	"io"
	"math"
	"strings"
)

// perTicket is what one ticket costs, as measured.
type perTicket struct {
	workCPU, serveCPU, postgresCPU float64 // seconds
	walKiB, storedKiB              float64
	transactions                   float64
	promptTokens, completionTokens float64
	costUSD                        float64
	memoryMiB                      float64
	commits                        float64 // transactions of the intake a second that pgbench reached
}

// assumptions are what the calculator cannot measure.
type assumptions struct {
	modelSeconds float64 // one call, with the desk's answers
	utilisation  float64 // of a core, above which latency grows
	retention    float64 // days that finished enhancements are kept
	pool         float64 // connections of a process
	concurrency  float64 // jobs at once in a worker
}

var usualAssumptions = assumptions{modelSeconds: 5, utilisation: 0.6, retention: 90, pool: 20, concurrency: 400}

// measuredCosts takes the figures from a run that has the scenarios intake and tickets.
func measuredCosts(results []*result) (perTicket, error) {
	by := map[string]*result{}
	for _, r := range results {
		by[r.Scenario] = r
	}
	var missing []string
	get := func(scenario, name string) float64 {
		if r := by[scenario]; r != nil {
			if v, ok := r.value(name); ok {
				return v
			}
		}
		missing = append(missing, scenario+": "+name)
		return 0
	}
	p := perTicket{
		workCPU: get("tickets", "work CPU") / 1000, serveCPU: get("intake", "serve CPU") / 1000,
		postgresCPU: (get("tickets", "postgres CPU") + get("intake", "postgres CPU")) / 1000,
		walKiB:      get("tickets", "WAL"), storedKiB: get("tickets", "stored"), transactions: get("tickets", "transactions") + 1,
		promptTokens: get("tickets", "prompt tokens"), completionTokens: get("tickets", "completion tokens"),
		costUSD: get("tickets", "model cost") / 1000, memoryMiB: get("tickets", "work peak RSS"),
		commits: max(get("intake", "pgbench, 8 clients"), get("intake", "pgbench, 32 clients")),
	}
	if len(missing) > 0 {
		return p, fmt.Errorf("the model needs a run of the scenarios intake and tickets; missing: %s", strings.Join(missing, ", "))
	}
	return p, nil
}

// capacity is one row of the model.
type capacity struct {
	rate                       float64
	workers, serves            float64
	productCores, pgCores      float64
	connections, commits       float64
	walMBs, storedGB, walGBDay float64
	tokensPerMinute            float64
	modelUSDMonth              float64
}

const (
	secondsADay   = 86_400.0
	secondsAMonth = 30 * secondsADay
)

// at scales what one ticket costs to a rate that is kept up all day.
func (p perTicket) at(rate float64, a assumptions) capacity {
	c := capacity{rate: rate}
	// A worker is full when its jobs wait for models, or when its share of a core is used up.
	waiting := rate * a.modelSeconds / a.concurrency
	computing := rate * p.workCPU / a.utilisation
	c.workers = math.Ceil(max(waiting, computing))
	c.serves = max(2, math.Ceil(rate*p.serveCPU/a.utilisation))
	c.productCores = (rate * (p.workCPU + p.serveCPU)) / a.utilisation
	c.pgCores = rate * p.postgresCPU / a.utilisation
	c.connections = (c.workers + c.serves) * a.pool
	c.commits = rate * p.transactions
	c.walMBs = rate * p.walKiB / 1024
	c.walGBDay = c.walMBs * secondsADay / 1024
	c.storedGB = rate * p.storedKiB * secondsADay * a.retention / (1 << 20)
	c.tokensPerMinute = rate * 60 * (p.promptTokens + p.completionTokens)
	c.modelUSDMonth = rate * p.costUSD * secondsAMonth
	return c
}

// capacityRates are tickets a second, all day.
var capacityRates = []float64{10, 100, 1000}

func capacityGrid(p perTicket, a assumptions) grid {
	g := grid{Title: fmt.Sprintf("model of capacity (a call of the model and the desk together take %g s, cores used to %g %%, %g jobs a worker, %g days kept)",
		a.modelSeconds, 100*a.utilisation, a.concurrency, a.retention), Header: []string{"tickets a second, all day"}}
	rows := []struct {
		name string
		of   func(capacity) float64
	}{
		{"worker processes", func(c capacity) float64 { return c.workers }},
		{"serve processes", func(c capacity) float64 { return c.serves }},
		{"cores of the product", func(c capacity) float64 { return c.productCores }},
		{"cores of Postgres", func(c capacity) float64 { return c.pgCores }},
		{"connections at most", func(c capacity) float64 { return c.connections }},
		{"transactions a second", func(c capacity) float64 { return c.commits }},
		{"WAL, MiB a second", func(c capacity) float64 { return c.walMBs }},
		{"WAL, GiB a day", func(c capacity) float64 { return c.walGBDay }},
		{"disk of the history after its retention, GiB", func(c capacity) float64 { return c.storedGB }},
		{"disk growth a month until then, GiB", func(c capacity) float64 { return c.storedGB * 30 / a.retention }},
		{"tokens a minute", func(c capacity) float64 { return c.tokensPerMinute }},
		{"model, USD a month", func(c capacity) float64 { return c.modelUSDMonth }},
	}
	var sized []capacity
	for _, rate := range capacityRates {
		g.Header = append(g.Header, figure(rate))
		sized = append(sized, p.at(rate, a))
	}
	for _, r := range rows {
		row := []string{r.name}
		for _, c := range sized {
			row = append(row, figure(r.of(c)))
		}
		g.Rows = append(g.Rows, row)
	}
	return g
}

// runModel is the calculator: it prints the model from a run that was kept with -json.
func runModel(args []string, out io.Writer) int {
	f := flag.NewFlagSet("bench model", flag.ContinueOnError)
	f.SetOutput(out)
	a := usualAssumptions
	from := f.String("from", "bench.json", "figures of a run of intake and tickets, kept with -json")
	f.Float64Var(&a.modelSeconds, "model-seconds", a.modelSeconds, "seconds that a ticket waits for model and desk")
	f.Float64Var(&a.utilisation, "utilisation", a.utilisation, "share of a core that may be used, 0 to 1")
	f.Float64Var(&a.retention, "retention-days", a.retention, "days that finished enhancements are kept")
	f.Float64Var(&a.concurrency, "concurrency", a.concurrency, "jobs at once in a worker process")
	f.Float64Var(&a.pool, "pool", a.pool, "connections of a process")
	if f.Parse(args) != nil {
		return 2
	}
	d, err := readDocument(*from)
	if err == nil {
		var p perTicket
		if p, err = measuredCosts(d.Results); err == nil {
			writeTables(out, []*result{{Scenario: "model", About: "what a rate needs, from " + *from, Build: d.Commit, Grids: []grid{capacityGrid(p, a)}}})
			return 0
		}
	}
	fmt.Fprintln(out, "bench:", err)
	return 2
}
