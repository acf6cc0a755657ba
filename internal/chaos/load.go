package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"aiagents/internal/harness"
)

// delivery is one webhook to be sent until it is accepted.
type delivery struct {
	*filing
	event string
}

// acceptance is an answer with 202: from here on the product must not lose the delivery.
type acceptance struct {
	Tenant    string    `json:"tenant"`
	Ticket    string    `json:"ticket"`
	Event     string    `json:"event"`
	Mark      string    `json:"mark"`
	JobID     string    `json:"job_id"`
	Duplicate bool      `json:"duplicate"`
	At        time.Time `json:"at"`
}

// sender signs webhooks, sends them again until they are accepted, and keeps every 202 in a synced journal.
type sender struct {
	targets []*slot
	client  *http.Client
	started time.Time
	slowest atomic.Int64 // nanoseconds of the slowest answer
	refused atomic.Int64 // answers other than 202, and none at all
	gaveUp  atomic.Int64

	mu       sync.Mutex
	rng      *rand.Rand
	file     *os.File
	accepted []acceptance
	latency  []time.Duration
}

// sendLimit bounds one try: the product promises an answer, be it 503, within seconds.
const sendLimit = 15 * time.Second

// giveUp is how long a sender insists.
const giveUp = 4 * time.Minute

func newSender(path string, targets []*slot, rng *rand.Rand) (*sender, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open journal of acceptances: %w", err)
	}
	return &sender{targets: targets, rng: rng, file: f, client: &http.Client{
		Timeout:   sendLimit,
		Transport: &http.Transport{MaxIdleConnsPerHost: 64, IdleConnTimeout: 5 * time.Second},
	}}, nil
}

// run sends the deliveries in order at the rate, each by a goroutine of its own, and returns when all are accepted.
func (s *sender) run(ctx context.Context, deliveries []delivery, rate float64) {
	var all sync.WaitGroup
	tick := time.NewTicker(time.Duration(float64(time.Second) / rate))
	defer tick.Stop()
	for _, d := range deliveries {
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
		all.Go(func() { s.deliver(ctx, d) })
	}
	all.Wait()
}

func (s *sender) pick() (target *slot, jitter time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.targets[s.rng.IntN(len(s.targets))], time.Duration(s.rng.IntN(200)) * time.Millisecond
}

// deliver insists like a sender that was never acknowledged: the same bytes, again and again.
func (s *sender) deliver(ctx context.Context, d delivery) {
	ctx, cancel := context.WithTimeout(ctx, giveUp)
	defer cancel()
	err := d.file()
	var body []byte
	if err == nil {
		body, err = d.webhook(d.event)
	}
	if err != nil {
		d.rig.timeline.problem(fmt.Sprintf("a ticket could not be filed: %v", err))
		return
	}
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
		target, jitter := s.pick()
		if s.try(ctx, target, d, body) {
			return
		}
		s.refused.Add(1)
		if ctx.Err() != nil {
			s.gaveUp.Add(1)
			return
		}
		harness.Pause(ctx, wait+jitter)
	}
}

func (s *sender) try(ctx context.Context, target *slot, d delivery, body []byte) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+target.addr+"/webhook/servicedesk", bytes.NewReader(body))
	if err != nil {
		return false
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-ServiceDesk-Signature", harness.Sign(d.tenant.secret, body))
	start := time.Now()
	resp, err := s.client.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	said, err := io.ReadAll(resp.Body)
	took := time.Since(start)
	if err != nil || resp.StatusCode != http.StatusAccepted {
		return false
	}
	var answer struct {
		JobID     string `json:"job_id"`
		Duplicate bool   `json:"duplicate"`
	}
	if json.Unmarshal(said, &answer) != nil {
		return false
	}
	s.keep(acceptance{
		Tenant: d.tenant.id, Ticket: d.id, Event: d.event, Mark: d.mark,
		JobID: answer.JobID, Duplicate: answer.Duplicate, At: time.Now(),
	}, took)
	return true
}

// keep makes the acceptance durable before anything else happens with it.
func (s *sender) keep(a acceptance, took time.Duration) {
	line, err := json.Marshal(a)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		_, err = s.file.Write(append(line, '\n'))
	}
	if err == nil {
		err = s.file.Sync()
	}
	if err != nil {
		panic(fmt.Sprintf("the journal of acceptances cannot be written: %v", err)) // no verdict is possible without it
	}
	s.accepted = append(s.accepted, a)
	s.latency = append(s.latency, took)
}

// take returns what was accepted, and how long the answers took, since the last take.
func (s *sender) take() ([]acceptance, []time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, l := s.accepted, s.latency
	s.accepted, s.latency = nil, nil
	return a, l
}

func (s *sender) close() {
	s.client.CloseIdleConnections()
	_ = s.file.Close() // every entry is synced
}
