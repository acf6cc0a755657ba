package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// profileTop is how many entries of a profile are shown.
const profileTop = 5

// profiles is the folder for the profiles of a scenario, made when it is first asked for; "" without profiling.
func (s *stage) profiles(scenario string) string {
	if s.opts.profileDir == "" {
		return ""
	}
	dir := filepath.Join(s.opts.profileDir, scenario)
	if err := os.MkdirAll(dir, 0o750); err != nil {
		s.say("no profiles: %v", err)
		return ""
	}
	return dir
}

// summarise adds the top entries of a scenario's profiles, merged by role.
func (s *stage) summarise(ctx context.Context, r *result) error {
	dir := s.profiles(r.Scenario)
	if dir == "" {
		return nil
	}
	for _, kind := range []struct{ file, name, sample string }{
		{"cpu", "CPU time", "cpu"}, {"allocs", "allocated bytes", "alloc_space"},
	} {
		for _, role := range []string{"serve", "work", "all"} {
			files, err := filepath.Glob(filepath.Join(dir, role+"-*."+kind.file+".pprof"))
			if err != nil || len(files) == 0 {
				continue
			}
			own, err := pprofTop(ctx, kind.sample, files)
			if err != nil {
				return err
			}
			ours, err := pprofTop(ctx, kind.sample, files, "-cum", "-show=^aiagents/")
			if err != nil {
				return err
			}
			r.Profiles = append(r.Profiles,
				grid{Title: fmt.Sprintf("%s: %s of %s, by function alone", r.Scenario, kind.name, role), Header: []string{"function", "share alone", "share with what it calls"}, Rows: own},
				grid{Title: fmt.Sprintf("%s: %s of %s, our functions with what they call", r.Scenario, kind.name, role), Header: []string{"function", "share alone", "share with what it calls"}, Rows: ours})
		}
	}
	return nil
}

// pprofTop reads the table that `go tool pprof -top` prints.
func pprofTop(ctx context.Context, sample string, files []string, flags ...string) ([][]string, error) {
	args := append([]string{"tool", "pprof", "-top", "-sample_index=" + sample, fmt.Sprintf("-nodecount=%d", profileTop)}, flags...)
	out, err := exec.CommandContext(ctx, "go", append(args, files...)...).Output()
	if err != nil {
		return nil, fmt.Errorf("read profiles: %w", err)
	}
	var rows [][]string
	table := false
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		if table && len(f) >= 6 {
			rows = append(rows, []string{strings.Join(f[5:], " "), f[1], f[4]})
		}
		table = table || (len(f) > 0 && f[0] == "flat")
	}
	return rows, nil
}
