package main

import (
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"time"
)

// options are what a run can be asked for.
type options struct {
	scenarios       []string
	seed            uint64
	tenants         int
	webhooks        int
	rate            float64
	workerKills     int
	apiKills        int
	postgresCrashes int
	linkResets      int
	pointKills      int
	flood           int
	quick           bool
	race            bool
	keep            bool
	binary          string
	report          string
	modelMedian     time.Duration
	list            bool
}

const usage = `Usage: go run . [flags]

Runs chaos scenarios against real processes of aiagents and a real Postgres, checks what was accepted against what stands
on the tickets, and prints a report in Markdown. Exit 0: all invariants held; 1: one broke; 2: the harness itself failed.

CHAOS_SEED=n (or -seed n) repeats the random choices of an earlier run.

`

func parseOptions(args []string, out io.Writer) (options, error) {
	var o options
	var names string
	f := flag.NewFlagSet("chaos", flag.ContinueOnError)
	f.SetOutput(out)
	f.Usage = func() {
		fmt.Fprint(out, usage)
		f.PrintDefaults()
	}
	f.StringVar(&names, "scenario", "all", "comma-separated names (see -list), or all, which leaves storm and flood out")
	f.Uint64Var(&o.seed, "seed", 0, "seed of all random choices (default: CHAOS_SEED, else random)")
	f.IntVar(&o.tenants, "tenants", 8, "number of tenants, each with a service desk of its own")
	f.IntVar(&o.webhooks, "webhooks", 200, "tickets a scenario")
	f.Float64Var(&o.rate, "rate", 20, "tickets a second")
	f.IntVar(&o.workerKills, "worker-kills", 6, "SIGKILLs of a random worker, in scenarios that kill workers")
	f.IntVar(&o.apiKills, "api-kills", 6, "SIGKILLs of a random serve process, in scenarios that kill those")
	f.IntVar(&o.postgresCrashes, "postgres-crashes", 3, "immediate stops of Postgres, in scenarios that crash it")
	f.IntVar(&o.linkResets, "link-resets", 12, "cuts of all connections of a link, in scenarios that cut them")
	f.IntVar(&o.pointKills, "point-kills", 2, "kills at each of the crash points, in scenarios that use them")
	f.IntVar(&o.flood, "flood", 5000, "tickets of the flooding tenant, in the scenario flood")
	f.BoolVar(&o.quick, "quick", false, "shorter times of the product (heartbeat 1 s, quiet time 9 s), for a smoke run; the default is what it ships with")
	f.BoolVar(&o.race, "race", false, "build the binary with the race detector")
	f.BoolVar(&o.keep, "keep", false, "keep logs and journals of a run that went well too")
	f.StringVar(&o.binary, "binary", "", "binary built with -tags chaos to use (default: build one)")
	f.StringVar(&o.report, "report", "", "file for the report, besides standard output")
	f.DurationVar(&o.modelMedian, "model-median", time.Second, "median time of the simulated model's answers")
	f.BoolVar(&o.list, "list", false, "list the scenarios and end")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	if o.tenants < 2 || o.webhooks < 1 || o.rate <= 0 {
		return o, fmt.Errorf("-tenants must be 2 or more, -webhooks 1 or more and -rate above 0")
	}
	if o.seed == 0 {
		o.seed, _ = strconv.ParseUint(os.Getenv("CHAOS_SEED"), 10, 64)
	}
	if o.seed == 0 {
		o.seed = uint64(rand.Uint32())
	}
	var err error
	o.scenarios, err = chosen(names)
	return o, err
}

// dice is one stream of the run's random choices. Each part has its own, so that one part's timing does not shift
// another's choices.
func (o options) dice(part string) *rand.Rand {
	var salt uint64
	for _, b := range []byte(part) {
		salt = salt*131 + uint64(b)
	}
	return rand.New(rand.NewPCG(o.seed, salt))
}

// environment is what every process of the product gets, besides its own addresses.
func (o options) environment() []string {
	env := []string{
		"AI_AGENTS_ENVIRONMENT=development", // the only one that may talk to loopback
		"AI_AGENTS_LOG_LEVEL=info",
		"AI_AGENTS_NOTIFIER_REQUESTS_PER_SECOND=200",
		"AI_AGENTS_HTTP_SHUTDOWN_DELAY=500ms",
	}
	if o.quick {
		env = append(env, strings.Fields(`AI_AGENTS_WORKER_HEARTBEAT=1s AI_AGENTS_NOTIFIER_POST_TIMEOUT=4s
			AI_AGENTS_NOTIFIER_SERVER_SLACK=4s AI_AGENTS_NOTIFIER_LIST_DELAY=1s AI_AGENTS_NOTIFIER_PROBE_INTERVAL=3s
			AI_AGENTS_NOTIFIER_BREAKER_PAUSE=3s AI_AGENTS_OPENAI_TIMEOUT=5s AI_AGENTS_OPENAI_RETRY_DELAY=1s
			AI_AGENTS_ENHANCEMENT_ORPHAN_AFTER=5s AI_AGENTS_WORKER_SOFT_STOP=20s
			AI_AGENTS_FEED_RECONCILE_INTERVAL=15s AI_AGENTS_FEED_RECONCILE_GRACE=20s`)...)
	}
	return env
}

// reconcilePatience is how long a ticket without a webhook may wait for its note: the product's grace and two of its
// intervals, and the note itself.
func (o options) reconcilePatience() time.Duration {
	if o.quick {
		return 2 * time.Minute
	}
	return 8 * time.Minute
}

// quietTime is how long the product waits before it looks whether an ambiguous note arrived.
func (o options) quietTime() time.Duration {
	if o.quick {
		return 9 * time.Second
	}
	return 45 * time.Second
}
