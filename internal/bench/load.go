package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"aiagents/internal/harness"
)

// acceptance is an answer with 202: from here on the product must not lose the ticket.
type acceptance struct {
	ticket   int
	job      string
	intended time.Time // when the webhook was meant to be sent
}

// load is what one run of the generator sent and got.
type load struct {
	first, sent int // ticket numbers first to first+sent-1
	accepted    []acceptance
	statuses    map[int]int // answers by HTTP status; 0 for none
	latency     *hdrhistogram.Histogram
	took        time.Duration
}

func (l *load) refused() int {
	n := 0
	for status, count := range l.statuses {
		if status != http.StatusAccepted {
			n += count
		}
	}
	return n
}

// newHistogram counts microseconds up to a minute with three digits.
func newHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(1, 60_000_000, 3) }

func record(h *hdrhistogram.Histogram, d time.Duration) {
	_ = h.RecordValue(min(max(1, d.Microseconds()), 60_000_000)) // within the bounds
}

// millis is a quantile in milliseconds; q is in percent.
func millis(h *hdrhistogram.Histogram, q float64) float64 {
	return float64(h.ValueAtQuantile(q)) / 1000
}

// generator sends signed webhooks over connections that stay open.
type generator struct {
	stage  *stage
	target string
}

// closed keeps n connections busy for d: each sends its next webhook when the last one is answered.
func (g *generator) closed(ctx context.Context, n int, d time.Duration) (*load, error) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	return g.run(ctx, n, closedAhead, func(int64) (time.Time, bool) { return time.Now(), ctx.Err() == nil })
}

// closedCount sends exactly count webhooks over n connections.
func (g *generator) closedCount(ctx context.Context, n, count int) (*load, error) {
	return g.run(ctx, n, min(count, closedAhead), func(i int64) (time.Time, bool) { return time.Now(), i < int64(count) && ctx.Err() == nil })
}

// open sends webhook i at start + i/rate, whatever became of those before. A send that finds every connection busy is late,
// and its latency counts from when it was due.
func (g *generator) open(ctx context.Context, rate float64, d time.Duration, n int) (*load, error) {
	start := time.Now().Add(20 * time.Millisecond)
	return g.run(ctx, n, 10+int(5*rate), func(i int64) (time.Time, bool) {
		at := time.Duration(float64(i) / rate * float64(time.Second))
		if at >= d || ctx.Err() != nil {
			return time.Time{}, false
		}
		due := start.Add(at)
		if wait := time.Until(due); wait > 0 {
			harness.Pause(ctx, wait)
		}
		return due, true
	})
}

// closedAhead is how many tickets are filed ahead of a closed loop: about a second's worth.
const closedAhead = 2000

// run is both loops: due gives the time at which webhook i is meant to be sent, or false at the end.
func (g *generator) run(ctx context.Context, connections, ahead int, due func(i int64) (time.Time, bool)) (*load, error) {
	total := &load{first: g.stage.nextTicket, statuses: map[int]int{}, latency: newHistogram()}
	filed := newFiler(g.stage, total.first, ahead)
	var filing sync.WaitGroup
	filing.Go(func() { filed.run(context.WithoutCancel(ctx)) })
	if err := filed.need(0); err != nil {
		filing.Wait()
		return nil, err
	}
	var index atomic.Int64
	var mu sync.Mutex
	var all sync.WaitGroup
	var failed error
	begin := time.Now()
	for range connections {
		all.Go(func() {
			part, err := g.work(total.first, filed, &index, due)
			mu.Lock()
			defer mu.Unlock()
			failed = errors.Join(failed, err)
			total.accepted = append(total.accepted, part.accepted...)
			total.latency.Merge(part.latency)
			for status, n := range part.statuses {
				total.statuses[status] += n
				total.sent += n
			}
		})
	}
	all.Wait()
	total.took = time.Since(begin)
	filed.close()
	filing.Wait()
	g.stage.nextTicket = total.first + filed.count
	return total, errors.Join(failed, g.stage.sims.withdraw(context.WithoutCancel(ctx), total.first+total.sent, filed.count-total.sent))
}

func (g *generator) work(first int, filed *filer, index *atomic.Int64, due func(int64) (time.Time, bool)) (*load, error) {
	l := &load{statuses: map[int]int{}, latency: newHistogram()}
	c := &connection{target: g.target}
	defer c.close()
	for {
		i := index.Add(1) - 1
		at, more := due(i)
		if !more {
			return l, nil
		}
		if err := filed.need(int(i)); err != nil {
			return l, err
		}
		ticket := first + int(i)
		body := g.stage.world.webhook(ticket, at)
		status, answer, _ := c.post(body, g.stage.world.secret(g.stage.world.tenantOf(ticket)))
		record(l.latency, time.Since(at))
		l.statuses[status]++
		if status != http.StatusAccepted {
			continue
		}
		var said struct {
			JobID string `json:"job_id"`
		}
		if err := json.Unmarshal(answer, &said); err != nil || said.JobID == "" {
			return l, fmt.Errorf("a 202 without a job id: %s", answer)
		}
		l.accepted = append(l.accepted, acceptance{ticket, said.JobID, at})
	}
}

// filer puts tickets on the desks shortly before their webhooks are sent: a ticket that lies there for long without one is
// found by the product's reconciliation, as it should be. It works beside the senders, which wait for it only when they have
// caught up with it.
type filer struct {
	stage *stage
	first int
	ahead int

	mu     sync.Mutex
	moved  *sync.Cond
	wanted int // the highest ticket that a sender has asked for
	count  int // tickets on the desks
	err    error
	done   bool
}

func newFiler(s *stage, first, ahead int) *filer {
	f := &filer{stage: s, first: first, ahead: ahead}
	f.moved = sync.NewCond(&f.mu)
	return f
}

// run files until close.
func (f *filer) run(ctx context.Context) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for !f.done && f.err == nil {
		missing := f.wanted + f.ahead - f.count
		if missing < max(1, f.ahead/2) && f.wanted < f.count {
			f.moved.Wait()
			continue
		}
		from := f.first + f.count
		f.mu.Unlock()
		err := f.stage.sims.file(ctx, from, missing)
		f.mu.Lock()
		f.err = err
		f.count += missing
		f.moved.Broadcast()
	}
}

// need waits until ticket i is on its desk.
func (f *filer) need(i int) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if i > f.wanted {
		f.wanted = i
		if f.count-f.wanted < f.ahead/2+1 {
			f.moved.Broadcast()
		}
	}
	for i >= f.count && f.err == nil {
		f.moved.Wait()
	}
	return f.err
}

func (f *filer) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.done = true
	f.moved.Broadcast()
}

// connection is a plain HTTP/1.1 client on one connection: cheaper than net/http's pool, so that the generator takes as little
// as it can of the machine that it measures.
type connection struct {
	target string
	conn   net.Conn
	reader *bufio.Reader
	buffer []byte
}

const postLimit = 20 * time.Second

// post returns status 0 when there was no answer.
func (c *connection) post(body []byte, secret string) (status int, answer []byte, err error) {
	if c.conn == nil {
		if c.conn, err = net.DialTimeout("tcp", c.target, 5*time.Second); err != nil {
			return 0, nil, fmt.Errorf("connect: %w", err)
		}
		c.reader = bufio.NewReader(c.conn)
	}
	c.buffer = fmt.Appendf(c.buffer[:0], "POST /webhook/servicedesk HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n"+
		"X-ServiceDesk-Signature: %s\r\nContent-Length: %d\r\n\r\n%s", c.target, harness.Sign(secret, body), len(body), body)
	if err = c.conn.SetDeadline(time.Now().Add(postLimit)); err == nil {
		_, err = c.conn.Write(c.buffer)
	}
	if err != nil {
		c.close()
		return 0, nil, fmt.Errorf("send: %w", err)
	}
	resp, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		c.close()
		return 0, nil, fmt.Errorf("read answer: %w", err)
	}
	answer, err = io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || resp.Close {
		c.close()
	}
	return resp.StatusCode, answer, err
}

func (c *connection) close() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}
