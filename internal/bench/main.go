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
	"strconv"
	"syscall"
	"time"

	"aiagents/internal/harness"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout)
	stop()
	os.Exit(code)
}

// run is the whole program; it returns the exit code.
func run(ctx context.Context, args []string, out io.Writer) int {
	if len(args) == 4 && args[0] == "simulators" {
		return simulate(args[1:])
	}
	if len(args) > 0 && args[0] == "model" {
		return runModel(args[1:], out)
	}
	o, err := parseOptions(args, out)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(out, "bench:", err)
		return 2
	}
	if o.list {
		listScenarios(out)
		return 0
	}
	return measure(ctx, o, out)
}

// simulate is the child process with the desks and the model.
func simulate(args []string) int {
	tenants, err := strconv.Atoi(args[0])
	history, herr := strconv.Atoi(args[1])
	seed, serr := strconv.ParseUint(args[2], 10, 64)
	if err = errors.Join(err, herr, serr); err == nil {
		err = runSimulators(os.Stdin, os.Stdout, tenants, history, seed)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "simulators:", err)
		return 2
	}
	return 0
}

// measure assembles the rig, plays the scenarios and reports.
func measure(ctx context.Context, o options, out io.Writer) int {
	fmt.Fprintf(out, "seed %d\n", o.seed)
	s, err := assemble(ctx, o, out)
	if err != nil {
		fmt.Fprintln(out, "bench: the rig failed:", err)
		return 2
	}
	d := document{Time: time.Now(), Seed: o.seed, Commit: harness.Commit(ctx, s.root), Command: o.command(), Machine: s.describeMachine(ctx)}
	fmt.Fprintln(out, d.Machine)
	d.Results, err = s.playAll(ctx)
	err = errors.Join(err, s.close(context.WithoutCancel(ctx)))
	writeTables(out, d.Results)
	err = errors.Join(err, d.write(o))
	if err != nil || o.keep {
		fmt.Fprintf(out, "Logs are kept in %s\n", s.dir)
	} else {
		err = os.RemoveAll(s.dir)
	}
	switch {
	case errors.Is(err, errInvalid):
		fmt.Fprintln(out, "bench:", err)
		return 1
	case err != nil:
		fmt.Fprintln(out, "bench: the rig failed:", err)
		return 2
	case !o.noFail && slices.ContainsFunc(d.Results, func(r *result) bool { return len(r.Exceeded) > 0 }):
		return 1
	}
	return 0
}

// playAll plays the scenarios with one build, or compares two.
func (s *stage) playAll(ctx context.Context) ([]*result, error) {
	builds, err := s.builds(ctx)
	if err != nil {
		return nil, err
	}
	if len(builds) == 2 {
		return s.playPairs(ctx, builds)
	}
	var results []*result
	for _, sc := range chosen(s.opts.scenarios) {
		r, err := s.play(ctx, sc, builds[0])
		if err != nil {
			return results, err
		}
		results = append(results, r)
	}
	return results, nil
}
