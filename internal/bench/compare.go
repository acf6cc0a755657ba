package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"golang.org/x/perf/benchmath"
)

// comparison is one metric of two builds over all rounds.
type comparison struct {
	scenario, name, unit, better string
	a, b                         []float64
}

// builds are what is measured: one, or two to be compared.
func (s *stage) builds(ctx context.Context) ([]*build, error) {
	if s.opts.compare != "" {
		dir, err := s.checkout(ctx, s.opts.compare)
		if err != nil {
			return nil, err
		}
		before, err := s.compile(ctx, "before", dir)
		if err != nil {
			return nil, err
		}
		before.commit = s.opts.compare
		after, err := s.compile(ctx, "this", s.root)
		return []*build{before, after}, err
	}
	var all []*build
	for i, file := range s.opts.binaries {
		path, err := filepath.Abs(file)
		if err != nil {
			return nil, fmt.Errorf("find binary: %w", err)
		}
		all = append(all, &build{name: string(rune('a' + i)), binary: path, commit: filepath.Base(file)})
	}
	if len(all) > 0 {
		return all, nil
	}
	b, err := s.compile(ctx, "this", s.root)
	return []*build{b}, err
}

// playPairs measures both builds in every round, and begins with the other one each time, so that what the machine does meanwhile
// meets both alike.
func (s *stage) playPairs(ctx context.Context, builds []*build) ([]*result, error) {
	var results []*result
	for _, sc := range chosen(s.opts.scenarios) {
		var all []comparison
		for round := range s.opts.rounds {
			var of [2]*result
			for turn := range 2 {
				i := (round + turn) % 2
				r, err := s.play(ctx, sc, builds[i])
				if err != nil {
					return results, err
				}
				of[i] = r
			}
			all = gather(all, sc.name, of[0], of[1])
		}
		results = append(results, comparedResult(sc, builds, all, s.opts.rounds))
	}
	return results, nil
}

func gather(all []comparison, scenario string, a, b *result) []comparison {
	for _, m := range a.Metrics {
		v, ok := b.value(m.Name)
		if !ok || m.Better == "" {
			continue
		}
		found := false
		for i := range all {
			if all[i].name == m.Name {
				all[i].a, all[i].b, found = append(all[i].a, m.Value), append(all[i].b, v), true
			}
		}
		if !found {
			all = append(all, comparison{scenario, m.Name, m.Unit, m.Better, []float64{m.Value}, []float64{v}})
		}
	}
	return all
}

// comparedResult is a table of medians with their spread and of the change, where the two samples differ (Mann-Whitney, 5 %).
func comparedResult(sc scenario, builds []*build, all []comparison, rounds int) *result {
	g := grid{Title: fmt.Sprintf("%d rounds in turns: median, spread, change", rounds), Header: []string{"figure", "unit", label(builds[0]), label(builds[1]), "change", "p"}}
	r := &result{Scenario: sc.name, About: sc.about, Build: builds[0].name + " and " + builds[1].name}
	for _, c := range all {
		a, b := benchmath.NewSample(c.a, &benchmath.DefaultThresholds), benchmath.NewSample(c.b, &benchmath.DefaultThresholds)
		test := benchmath.AssumeNothing.Compare(a, b)
		before, after := benchmath.AssumeNothing.Summary(a, 0.95), benchmath.AssumeNothing.Summary(b, 0.95)
		change := "~"
		if test.P <= test.Alpha && before.Center != 0 {
			change = fmt.Sprintf("%+.1f %%", 100*(after.Center/before.Center-1))
			if (after.Center > before.Center) == (c.better == "higher") {
				change += " better"
			} else {
				change += " worse"
			}
		}
		g.Rows = append(g.Rows, []string{
			c.name, c.unit, figure(before.Center) + spread(c.a), figure(after.Center) + spread(c.b), change, fmt.Sprintf("%.3f", test.P),
		})
		if before.Center != 0 {
			r.add(c.name+", ratio", after.Center/before.Center, "", c.better)
		}
	}
	r.Grids = []grid{g}
	if rounds < 4 {
		r.Notes = append(r.Notes, "fewer than 4 rounds cannot show a difference at p ≤ 0.05")
	}
	return r
}

// spread is the distance of the extremes from the middle between them, in percent.
func spread(values []float64) string {
	low, high := values[0], values[0]
	for _, v := range values {
		low, high = min(low, v), max(high, v)
	}
	if low+high == 0 {
		return ""
	}
	return fmt.Sprintf(" ±%.0f %%", 100*(high-low)/(high+low))
}

func label(b *build) string {
	return strings.TrimSpace(b.name + " " + b.commit)
}
