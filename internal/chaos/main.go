package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout)
	stop()
	os.Exit(code)
}

// run is the whole program; it returns the exit code.
func run(ctx context.Context, args []string, out io.Writer) int {
	o, err := parseOptions(args, out)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(out, "chaos:", err)
		return 2
	}
	if o.list {
		for _, s := range scenarios {
			fmt.Fprintf(out, "%-18s %s\n", s.name, s.about)
		}
		return 0
	}
	fmt.Fprintf(out, "CHAOS_SEED=%d\n", o.seed)
	results, err := playAll(ctx, o, out)
	if err != nil {
		fmt.Fprintln(out, "chaos: the harness failed:", err)
		return 2
	}
	if slices.ContainsFunc(results, func(r result) bool { return len(r.broken) > 0 }) {
		return 1
	}
	return 0
}

// playAll assembles the rig, plays the chosen scenarios one after the other and writes the report, also of a run that was
// cut short.
func playAll(ctx context.Context, o options, out io.Writer) (results []result, err error) {
	begin := time.Now()
	if slices.Contains(o.scenarios, "disk_full") && os.Getenv(smallDiskVariable) == "" {
		return playOnSmallDisk(ctx, o, out)
	}
	r, err := assemble(ctx, o, out)
	if err != nil {
		return nil, err
	}
	for _, name := range o.scenarios {
		i := slices.IndexFunc(scenarios, func(s scenario) bool { return s.name == name })
		var res result
		if res, err = r.play(ctx, scenarios[i]); err != nil {
			break
		}
		results = append(results, res)
	}
	r.say("stopping")
	r.close(context.WithoutCancel(ctx))
	if late := r.timeline.take().problems; len(results) > 0 {
		last := &results[len(results)-1]
		last.broken = append(last.broken, late...)
	}
	var report strings.Builder
	writeReport(&report, o, r.commit, results, time.Since(begin))
	fmt.Fprintf(out, "\n%s", report.String())
	broken := err != nil || slices.ContainsFunc(results, func(r result) bool { return len(r.broken) > 0 })
	if broken {
		fmt.Fprintf(out, "Loudest in the logs:\n%s\n", strings.Join(r.loudest(15), "\n"))
	}
	if o.report != "" {
		err = errors.Join(err, os.WriteFile(o.report, []byte(report.String()), 0o600))
	}
	if broken || o.keep {
		fmt.Fprintf(out, "Logs and journals are kept in %s\n", r.dir)
		return results, err
	}
	return results, errors.Join(err, os.RemoveAll(r.dir))
}
