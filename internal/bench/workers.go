package main

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"time"
)

// playWorkers checks the model of capacity: what one worker process showed predicts what four do.
func playWorkers(ctx context.Context, s *stage, b *build) (*result, error) {
	r := &result{Notes: []string{
		"predicted from the run with one worker: four times its rate where its jobs wait for the model, and never more than all CPU time of the machine allows",
		"every 202 is exactly one note on its desk",
	}}
	table := grid{Title: "one worker, and what it predicts for four", Header: []string{
		"model", "jobs a worker", "one worker, tickets/s", "CPU ms/ticket, all processes", "four predicted", "four measured", "measured/predicted",
	}}
	for _, c := range []drainRun{
		{tickets: s.opts.tickets / 6, workers: 1, concurrency: 50, latencies: latencies{Model: 2 * time.Second, Desk: 50 * time.Millisecond}},
		{tickets: s.opts.tickets / 3, workers: 1, concurrency: 50},
	} {
		one, err := s.drainBacklog(ctx, b, c)
		if err != nil {
			return nil, err
		}
		if err := s.sims.reset(ctx); err != nil {
			return nil, err
		}
		many := c
		many.workers = 4
		if c.latencies.Model > 0 {
			many.tickets *= 3 // so that it lasts about as long
		}
		four, err := s.drainBacklog(ctx, b, many)
		if err != nil {
			return nil, err
		}
		if err := s.sims.reset(ctx); err != nil {
			return nil, err
		}
		predicted := predict(one, c.tickets, 4)
		table.Rows = append(table.Rows, []string{
			c.latencies.Model.String(), "50", figure(one.rate), figure(one.cpuPerTicket(c.tickets)), figure(predicted), figure(four.rate), figure(four.rate / predicted),
		})
		name := "model " + c.latencies.Model.String()
		r.add(name+", four workers", four.rate, "1/s", "higher")
		r.add(name+", predicted", predicted, "1/s", "")
		r.add(name+", off by", 100*math.Abs(four.rate/predicted-1), "%", "lower")
		r.add(name+", connections", float64(four.pool.open), "", "")
		r.Shares = four.shares
	}
	r.Grids = append(r.Grids, table)
	r.Notes = append(r.Notes, fmt.Sprintf("%d cores", runtime.NumCPU()))
	return r, nil
}

// cpuPerTicket is in milliseconds, over all processes of the machine that the run started.
func (d *drained) cpuPerTicket(tickets int) float64 {
	var sum time.Duration
	for _, sh := range d.shares {
		sum += sh.CPU
	}
	return ms(sum) / float64(tickets)
}

// predict is the rate of n workers: n times one's, or all that the cores can give.
func predict(one *drained, tickets, n int) float64 {
	return min(float64(n)*one.rate, 1000*float64(runtime.NumCPU())/one.cpuPerTicket(tickets))
}
