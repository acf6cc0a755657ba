package main

import (
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// options are one run's settings.
type options struct {
	scenarios    []string
	seed         uint64
	tenants      int
	history      int
	duration     time.Duration
	connections  int
	tickets      int
	concurrency  int
	jsonFile     string
	svgDir       string
	docFile      string
	noFail       bool
	keep         bool
	list         bool
	binaries     fileList
	given        []string // as it was typed
	compare      string
	rounds       int
	profileDir   string
	rows         numbers
	tenantCounts numbers
	backlog      int
}

type fileList []string

func (f *fileList) String() string     { return strings.Join(*f, ",") }
func (f *fileList) Set(s string) error { *f = append(*f, s); return nil }

// numbers are ascending and separated by commas.
type numbers []int

// String implements flag.Value.
func (n *numbers) String() string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint([]int(*n)), " ", ","), "[]")
}

// Set implements flag.Value.
func (n *numbers) Set(s string) error {
	*n = nil
	for text := range strings.SplitSeq(s, ",") {
		v, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil || v < 0 || (len(*n) > 0 && v <= (*n)[len(*n)-1]) {
			return fmt.Errorf("must be ascending numbers separated by commas")
		}
		*n = append(*n, v)
	}
	return nil
}

const usageText = `Usage: bench [flags] [scenario ...]

Measures aiagents on this machine: real processes, a real Postgres with fsync on, simulated desks and model, signed load.
Without scenarios it plays the standard set. Exit 0: measured; 1: an invariant broke or growth went beyond its bound; 2: the
rig failed.

Scenarios:
`

func parseOptions(args []string, out io.Writer) (options, error) {
	o := options{given: args}
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(out)
	f.Usage = func() {
		fmt.Fprint(out, usageText)
		listScenarios(out)
		fmt.Fprintln(out, "\nFlags:")
		f.PrintDefaults()
	}
	f.Uint64Var(&o.seed, "seed", 0, "seed of all random choices (default: random, printed)")
	f.IntVar(&o.tenants, "tenants", 4, "tenants, each with a desk of its own")
	f.IntVar(&o.history, "history", 10_000, "past tickets of each tenant, where a scenario searches them")
	f.DurationVar(&o.duration, "duration", 0, "length of each measured phase (default: the scenario's own)")
	f.IntVar(&o.connections, "connections", 32, "connections of the closed loop")
	f.IntVar(&o.tickets, "tickets", 6000, "tickets of a backlog that workers work off")
	f.IntVar(&o.concurrency, "concurrency", 400, "jobs at once in a worker process (AI_AGENTS_WORKER_CONCURRENCY)")
	f.StringVar(&o.jsonFile, "json", "", "file for all figures as JSON")
	f.StringVar(&o.svgDir, "svg", "", "folder for charts")
	f.StringVar(&o.docFile, "doc", "", "Markdown file whose marked places get the tables")
	f.BoolVar(&o.noFail, "no-fail", false, "growth beyond its bound does not change the exit code")
	f.BoolVar(&o.keep, "keep", false, "keep logs and data also of a run that went well")
	f.BoolVar(&o.list, "list", false, "list the scenarios and end")
	f.Var(&o.binaries, "binary", "binary to measure instead of this tree; given twice, the two are compared")
	f.StringVar(&o.compare, "compare", "", "commit to compare this tree with")
	f.IntVar(&o.rounds, "rounds", 5, "rounds of a comparison; each measures both builds, in turns")
	f.StringVar(&o.profileDir, "profile", "", "folder for a CPU and an allocation profile of each scenario")
	o.rows, o.tenantCounts = numbers{0, 100_000, 1_000_000}, numbers{1, 100, 1000}
	f.Var(&o.tenantCounts, "tenant-counts", "`numbers` of tenants at which growth is measured")
	f.Var(&o.rows, "rows", "`numbers` of finished jobs and history rows at which growth is measured")
	f.IntVar(&o.backlog, "backlog", 100_000, "waiting jobs at which growth is measured")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	o.scenarios = f.Args()
	for _, name := range o.scenarios {
		if !slices.ContainsFunc(scenarios, func(s scenario) bool { return s.name == name }) {
			return o, fmt.Errorf("unknown scenario %q: see -list", name)
		}
	}
	if len(o.scenarios) == 0 {
		for _, s := range scenarios {
			if s.standard {
				o.scenarios = append(o.scenarios, s.name)
			}
		}
	}
	if o.tenants < 1 || o.history < 0 || o.connections < 1 || o.rounds < 1 {
		return o, fmt.Errorf("-tenants, -connections and -rounds must be 1 or more, -history 0 or more")
	}
	if len(o.binaries) > 2 || (len(o.binaries) > 0 && o.compare != "") {
		return o, fmt.Errorf("give -binary at most twice, and not together with -compare")
	}
	if o.docFile != "" { // before minutes of measuring, not after
		if _, err := os.Stat(o.docFile); err != nil {
			return o, fmt.Errorf("-doc names a file that exists, with marked places: %w", err)
		}
	}
	if o.profileDir != "" {
		// Every process of the product gets the name, and has another folder.
		dir, err := filepath.Abs(o.profileDir)
		if err != nil {
			return o, fmt.Errorf("find folder of profiles: %w", err)
		}
		o.profileDir = dir
	}
	if o.seed == 0 {
		o.seed = uint64(rand.Uint32())
	}
	return o, nil
}

// command is how this run was called.
func (o options) command() string {
	return "task bench BENCH_ARGS='" + strings.Join(o.given, " ") + "'"
}

// phase is the length of a measured phase.
func (o options) phase(usual time.Duration) time.Duration {
	if o.duration > 0 {
		return o.duration
	}
	return usual
}

func listScenarios(out io.Writer) {
	for _, s := range scenarios {
		mark := " "
		if s.standard {
			mark = "*"
		}
		fmt.Fprintf(out, "%s %-10s %s\n", mark, s.name, s.about)
	}
	fmt.Fprintln(out, "* belongs to the standard set")
}
