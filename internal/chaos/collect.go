package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"aiagents/internal/harness"
)

// settle waits until no accepted run is pending and no job of one is left, or until the limit.
func (r *rig) settle(ctx context.Context, limit time.Duration) (bool, error) {
	type open struct{ Rows, Jobs int }
	deadline := time.Now().Add(limit)
	for {
		found, err := query[open](ctx, r.pg, `
			SELECT (SELECT count(*) FROM enhancement_history WHERE status = 'pending') AS rows,
			       (SELECT count(*) FROM river_job WHERE kind = 'enhance_ticket'
			        AND state IN ('available', 'pending', 'retryable', 'running', 'scheduled')) AS jobs`)
		if err != nil {
			return false, fmt.Errorf("look for open work: %w", err)
		}
		if found[0].Rows == 0 && found[0].Jobs == 0 {
			return true, nil
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			return false, ctx.Err()
		}
		harness.Pause(ctx, 100*time.Millisecond)
	}
}

// collect gathers the evidence of the scenario that just ended.
func (r *rig) collect(ctx context.Context, waited bool) (evidence, error) {
	r.autopsies.Wait()
	e := evidence{known: r.known, waited: waited, canaries: map[string]string{}, claims: map[string][]time.Time{}, stored: map[string]time.Time{}, done: r.timeline.take()}
	e.accepted, _ = r.sender.take()
	e.calls = r.model.take()
	r.mu.Lock()
	for _, f := range r.fresh {
		e.filed = append(e.filed, filed{tenant: f.tenant.id, ticket: f.id, mark: f.mark, at: f.created})
	}
	r.fresh = nil
	r.mu.Unlock()
	for _, t := range r.tenants {
		e.canaries[t.id] = t.canary
		notes, err := t.notes()
		if err != nil {
			return e, err
		}
		e.notes = append(e.notes, notes...)
	}
	if err := r.collectRows(ctx, &e); err != nil {
		return e, err
	}
	var err error
	e.leaks, err = r.searchLogs()
	return e, err
}

func (r *rig) collectRows(ctx context.Context, e *evidence) (err error) {
	tenants, tickets := make([]string, len(e.filed)), make([]string, len(e.filed))
	for i, f := range e.filed {
		tenants[i], tickets[i] = f.tenant, f.ticket
	}
	e.rows, err = query[row](ctx, r.pg, `
		SELECT h.tenant_id AS tenant, h.id::text AS id, h.ticket_id AS ticket, h.event, h.status, h.outcome, h.reference,
		       coalesce(h.error_message, '') AS message,
		       (SELECT count(*) FROM model_calls c WHERE c.tenant_id = h.tenant_id AND c.enhancement_id = h.id) AS calls
		FROM enhancement_history h
		JOIN unnest($1::text[], $2::text[]) f(tenant, ticket) ON h.tenant_id = f.tenant AND h.ticket_id = f.ticket`, tenants, tickets)
	if err != nil {
		return fmt.Errorf("read rows: %w", err)
	}
	type number struct{ N int }
	jobs, err := query[number](ctx, r.pg, `
		SELECT count(*) AS n FROM river_job
		WHERE kind = 'enhance_ticket' AND state IN ('available', 'pending', 'retryable', 'running', 'scheduled')`)
	if err != nil {
		return fmt.Errorf("count jobs: %w", err)
	}
	e.openJobs = jobs[0].N
	type moment struct {
		What, ID string
		At       time.Time
	}
	moments, err := query[moment](ctx, r.pg, `SELECT what, id::text AS id, at FROM chaos.moments ORDER BY at`)
	if err != nil {
		return fmt.Errorf("read moments: %w", err)
	}
	for _, m := range moments {
		if m.What == "claimed" {
			e.claims[m.ID] = append(e.claims[m.ID], m.At)
		} else if e.stored[m.ID].IsZero() {
			e.stored[m.ID] = m.At
		}
	}
	return nil
}

// searchLogs looks for secrets, panics and data races in everything the processes wrote.
func (r *rig) searchLogs() ([]string, error) {
	words := r.secrets()
	words["a panic"] = `"job panicked"`
	words["a panic of the program"] = "goroutine 1 ["
	words["a data race"] = "WARNING: DATA RACE"
	for _, t := range r.tenants {
		words["a text of a ticket of "+t.id] = t.canary
	}
	files, err := filepath.Glob(filepath.Join(r.dir, "logs", "*.log"))
	if err != nil {
		return nil, fmt.Errorf("list logs: %w", err)
	}
	var found []string
	for _, file := range files {
		hits, err := searchFile(file, words)
		if err != nil {
			return nil, err
		}
		found = append(found, hits...)
	}
	slices.Sort(found)
	return found, nil
}

func searchFile(file string, words map[string]string) ([]string, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read log: %w", err)
	}
	var found []string
	for what, text := range words {
		if bytes.Contains(content, []byte(text)) {
			found = append(found, what+" ("+filepath.Base(file)+")")
		}
	}
	return found, nil
}

// loudest lists the most frequent warnings and errors of all processes, for the one who looks for a cause.
func (r *rig) loudest(most int) []string {
	counts := map[string]int{}
	files, _ := filepath.Glob(filepath.Join(r.dir, "logs", "*.log")) // the pattern is sound
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			continue
		}
		lines := bufio.NewScanner(f)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			line := lines.Text()
			if strings.Contains(line, `"level":"warn"`) || strings.Contains(line, `"level":"error"`) {
				_, message, _ := strings.Cut(line, `"message":"`)
				message, _, _ = strings.Cut(message, `"`)
				counts[message]++
			}
		}
		_ = f.Close() // read only
	}
	var all []string
	for message := range counts {
		all = append(all, message)
	}
	slices.SortFunc(all, func(a, b string) int { return counts[b] - counts[a] })
	for i, message := range all {
		all[i] = fmt.Sprintf("%6d  %s", counts[message], message)
	}
	return all[:min(len(all), most)]
}
