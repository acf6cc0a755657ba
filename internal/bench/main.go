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
	results, err := s.playAll(ctx)
	err = errors.Join(err, s.close(context.WithoutCancel(ctx)))
	writeTables(out, results)
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
	case !o.noFail && slices.ContainsFunc(results, func(r *result) bool { return len(r.Exceeded) > 0 }):
		return 1
	}
	return 0
}

func (s *stage) playAll(ctx context.Context) ([]*result, error) {
	b, err := s.thisBuild(ctx)
	if err != nil {
		return nil, err
	}
	var results []*result
	for _, name := range s.opts.scenarios {
		i := slices.IndexFunc(scenarios, func(sc scenario) bool { return sc.name == name })
		r, err := s.play(ctx, scenarios[i], b)
		if err != nil {
			return results, err
		}
		results = append(results, r)
	}
	return results, nil
}

// thisBuild is the binary that was given, or this tree.
func (s *stage) thisBuild(ctx context.Context) (*build, error) {
	if len(s.opts.binaries) > 0 {
		return &build{name: "a", binary: s.opts.binaries[0]}, nil
	}
	return s.compile(ctx, "this", s.root)
}
