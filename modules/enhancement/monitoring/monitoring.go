package monitoring

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"aiagents/modules/enhancement/evidence"
)

const (
	// TimeLimit is how long all providers of a tenant have together.
	TimeLimit = 15 * time.Second
	// MaxObservations is how many observations Gather returns at most.
	MaxObservations = 5
	// DefaultWindow is how far before the ticket a request without a window looks.
	DefaultWindow = 30 * time.Minute

	maxHosts        = 10
	maxNearby       = 2
	maxSummaryRunes = 200
)

// The severities of an observation.
const (
	SeverityCritical = "critical"
	SeverityWarning  = "warning"
	SeverityInfo     = "info"
	// SeverityOK says that the provider watches the host and had nothing to complain about.
	SeverityOK = "ok"
)

// Request asks about hosts at a time. Systems that are networks, or have neither name nor address, are passed over.
type Request struct {
	Hosts []evidence.System
	// At is the ticket's time.
	At time.Time
	// Window is how far before At a problem may have ended and still count; 0 means DefaultWindow.
	Window time.Duration
}

// Provider is one monitoring system of one tenant. Observe returns problems first; it is safe for concurrent use, and its
// errors are faults: Unauthenticated, Limited, Invalid (the configuration or a query is wrong) or Unavailable.
type Provider interface {
	Name() string
	Observe(ctx context.Context, req Request) ([]evidence.Observation, error)
}

// Gather asks all providers at once, within TimeLimit, and returns at most five observations: problems of the hosts by
// severity, then what was seen near in time, then what is healthy. Ids run from M-1. When providers fail, what the others
// said is returned together with an error that names each failure.
func Gather(ctx context.Context, providers []Provider, req Request) ([]evidence.Observation, error) {
	ctx, cancel := context.WithTimeout(ctx, TimeLimit)
	defer cancel()
	req = req.prepared()
	results := make([][]evidence.Observation, len(providers))
	failures := make([]error, len(providers))
	var wg sync.WaitGroup
	for i, p := range providers {
		wg.Go(func() {
			observations, err := p.Observe(ctx, req)
			results[i] = observations
			if err != nil {
				failures[i] = fmt.Errorf("ask %s: %w", p.Name(), err)
			}
		})
	}
	wg.Wait()
	return arrange(slices.Concat(results...)), errors.Join(failures...)
}

// prepared drops what cannot be asked for.
func (r Request) prepared() Request {
	if r.Window <= 0 {
		r.Window = DefaultWindow
	}
	var hosts []evidence.System
	for _, h := range r.Hosts {
		if len(hosts) < maxHosts && len(namesOf(h)) > 0 {
			hosts = append(hosts, h)
		}
	}
	r.Hosts = hosts
	return r
}

func (r Request) from() time.Time { return r.At.Add(-r.Window) }

// minutes is the window as providers write it.
func (r Request) minutes() int { return max(1, int(r.Window.Round(time.Minute)/time.Minute)) }

// relevant reports whether something that began at the time can have to do with the ticket: a job that runs late sees
// alerts that began long after.
func (r Request) relevant(began time.Time) bool { return began.Before(r.At.Add(r.Window)) }

// recent reports whether something began near the ticket's time.
func (r Request) recent(began time.Time) bool { return began.After(r.from()) && r.relevant(began) }

// arrange sorts, bounds and numbers.
func arrange(all []evidence.Observation) []evidence.Observation {
	slices.SortStableFunc(all, func(a, b evidence.Observation) int {
		return cmp.Or(cmp.Compare(group(a), group(b)), cmp.Compare(severityRank(a.Severity), severityRank(b.Severity)), b.Since.Compare(a.Since))
	})
	nearby := 0
	all = slices.DeleteFunc(all, func(o evidence.Observation) bool {
		if group(o) == groupNearby {
			nearby++
		}
		return group(o) == groupNearby && nearby > maxNearby
	})
	all = all[:min(len(all), MaxObservations)]
	for i := range all {
		all[i].ID = fmt.Sprintf("M-%d", i+1)
		all[i].Summary = oneLine(all[i].Summary)
	}
	return all
}

const (
	groupProblem = iota
	groupNearby
	groupHealthy
)

func group(o evidence.Observation) int {
	switch {
	case o.Severity == SeverityOK:
		return groupHealthy
	case o.AboutHost:
		return groupProblem
	}
	return groupNearby
}

func severityRank(severity string) int {
	return slices.Index([]string{SeverityCritical, SeverityWarning, SeverityInfo, SeverityOK}, severity)
}

// severityOf maps the words of the providers to ours; an unknown word is a warning.
func severityOf(word string) string {
	switch strings.ToLower(word) {
	case "critical", "crit", "page", "error", "fatal", "emergency", "high", "disaster", "alert", "major":
		return SeverityCritical
	case "info", "information", "informational", "none", "notice", "low":
		return SeverityInfo
	}
	return SeverityWarning
}

// healthy is the one observation for all hosts of a provider that are watched and fine.
func healthy(provider, url string, hosts []string, summary string, since time.Time) []evidence.Observation {
	if len(hosts) == 0 {
		return nil
	}
	return []evidence.Observation{{
		Provider: provider, Host: strings.Join(hosts, ", "), Summary: summary, Severity: SeverityOK,
		Since: since, AboutHost: true, URL: url,
	}}
}

// oneLine makes a provider's text fit for one line of a note.
func oneLine(text string) string {
	clean := strings.Join(strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }), " ")
	if runes := []rune(clean); len(runes) > maxSummaryRunes {
		return string(runes[:maxSummaryRunes-1]) + "…"
	}
	return clean
}
