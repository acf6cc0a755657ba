package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"aiagents/internal/harness"
	"aiagents/internal/simulator/openai"
	"aiagents/internal/simulator/servicedesk"
)

// latencies are how long the simulators wait before they answer.
type latencies struct {
	Model time.Duration `json:"model"`
	Desk  time.Duration `json:"desk"`
}

// span is a time on the machine's clock, in nanoseconds.
type span struct{ From, To int64 }

// outside is what the simulators saw of one ticket.
type outside struct {
	Notes    int    `json:"notes"` // applied to the desk
	Calls    int    `json:"calls"` // of the model
	Finished int64  `json:"finished"`
	Busy     []span `json:"busy"` // requests under way at the desk or the model
}

// simulators are the desks of all tenants and the model, in a process of their own, so that their CPU time is nobody else's.
type simulators struct {
	world *world
	model http.Handler
	hosts []string // the URL of each tenant's desk

	modelDelay, deskDelay, notes, calls atomic.Int64

	mu      sync.Mutex
	desks   []*servicedesk.Desk
	serve   map[string]http.Handler // by host
	tickets map[int]*outside
}

// addresses is the first line that the process prints.
type addresses struct {
	Control string   `json:"control"`
	Model   string   `json:"model"`
	Desks   []string `json:"desks"`
}

// runSimulators is the child process. It ends when its standard input does, that is, with its parent.
func runSimulators(in io.Reader, out io.Writer, tenants, history int, seed uint64) error {
	s := &simulators{world: newWorld(tenants, history, seed), serve: map[string]http.Handler{}}
	s.model = openai.New(openai.Options{CountersOnly: true}).Handler()
	var group serving
	a := addresses{Control: group.listen("127.0.0.1", s.control()), Model: group.listen("127.0.0.1", http.HandlerFunc(s.serveModel))}
	for n := range tenants {
		// Every desk has a host of its own, as in life: the product limits calls by host.
		a.Desks = append(a.Desks, group.listen(fmt.Sprintf("127.0.%d.%d", 1+n/250, 1+n%250), http.HandlerFunc(s.serveDesk)))
	}
	s.hosts = a.Desks
	if err := s.reset(); err != nil {
		return err
	}
	if group.err != nil {
		return group.err
	}
	if err := json.NewEncoder(out).Encode(a); err != nil {
		return fmt.Errorf("tell addresses: %w", err)
	}
	_, _ = io.Copy(io.Discard, in)
	return nil
}

// reset gives every tenant an empty desk.
func (s *simulators) reset() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.desks, s.tickets = nil, map[int]*outside{}
	for n, host := range s.hosts {
		desk, err := servicedesk.New(servicedesk.Options{
			Edition: servicedesk.OnPrem, APIKey: s.world.apiKey(n), CountersOnly: true, Seed: s.world.seed + uint64(n),
		})
		if err != nil {
			return fmt.Errorf("start desk: %w", err)
		}
		s.desks = append(s.desks, desk)
		s.serve[strings.TrimPrefix(host, "http://")] = desk.Handler()
	}
	return nil
}

// serving opens listeners and keeps the first error.
type serving struct{ err error }

func (g *serving) listen(ip string, h http.Handler) string {
	l, err := net.Listen("tcp", ip+":0")
	if err != nil {
		g.err = errors.Join(g.err, fmt.Errorf("listen on %s: %w", ip, err))
		return ""
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(l) }() // ends with the process
	return "http://" + l.Addr().String()
}

var requestPath = regexp.MustCompile(`/requests/([0-9]+)`)

func (s *simulators) serveDesk(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	harness.Pause(r.Context(), time.Duration(s.deskDelay.Load()))
	s.mu.Lock()
	desk := s.serve[r.Host]
	s.mu.Unlock()
	answer := &statusWriter{ResponseWriter: w}
	desk.ServeHTTP(answer, r)
	found := requestPath.FindStringSubmatch(r.URL.Path)
	if found == nil {
		return
	}
	ticket, ours := numberOf(found[1])
	if !ours {
		return
	}
	written := r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/notes") && answer.status < 300
	if written {
		s.notes.Add(1)
	}
	s.saw(ticket, start, func(o *outside) {
		if written {
			o.Notes++
			o.Finished = time.Now().UnixNano()
		}
	})
}

type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (s *simulators) saw(ticket int, start time.Time, change func(*outside)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.tickets[ticket]
	if o == nil {
		o = &outside{}
		s.tickets[ticket] = o
	}
	o.Busy = append(o.Busy, span{start.UnixNano(), time.Now().UnixNano()})
	change(o)
}

var markWord = regexp.MustCompile(`\b` + markPrefix + `([a-z]{` + strconv.Itoa(markLetters) + `})\b`)

func (s *simulators) serveModel(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	harness.Pause(r.Context(), time.Duration(s.modelDelay.Load()))
	r.Body = io.NopCloser(bytes.NewReader(body))
	s.model.ServeHTTP(w, r)
	s.calls.Add(1)
	if found := markWord.FindSubmatch(body); found != nil {
		s.saw(markNumber(found[1]), start, func(o *outside) { o.Calls++ })
	}
}

// markNumber is the ticket behind the letters of a mark.
func markNumber(letters []byte) int {
	n := 0
	for _, c := range letters {
		n = n*26 + int(c-'a')
	}
	return n
}

// counts is how far the work has come.
type counts struct {
	Notes int `json:"notes"`
	Calls int `json:"calls"`
}

// control lets the benchmark set latencies, file tickets and read what happened to them.
func (s *simulators) control() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /latencies", func(w http.ResponseWriter, r *http.Request) {
		var l latencies
		if json.NewDecoder(r.Body).Decode(&l) != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		s.modelDelay.Store(int64(l.Model))
		s.deskDelay.Store(int64(l.Desk))
	})
	mux.HandleFunc("POST /tenants", func(w http.ResponseWriter, r *http.Request) {
		var n int
		if json.NewDecoder(r.Body).Decode(&n) != nil || n < 1 || n > len(s.hosts) {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.world.tenants = n
	})
	mux.HandleFunc("POST /reset", func(w http.ResponseWriter, _ *http.Request) {
		if err := s.reset(); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	mux.HandleFunc("POST /tickets", s.file)
	mux.HandleFunc("DELETE /tickets", s.withdraw)
	mux.HandleFunc("GET /count", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(counts{Notes: int(s.notes.Load()), Calls: int(s.calls.Load())})
	})
	mux.HandleFunc("GET /tickets", s.report)
	return mux
}

// batch names new tickets by number.
type batch struct{ First, Count int }

func (s *simulators) file(w http.ResponseWriter, r *http.Request) {
	var b batch
	if json.NewDecoder(r.Body).Decode(&b) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	for n := b.First; n < b.First+b.Count; n++ {
		subject, description := s.world.text(n)
		_, err := s.desk(n).AddTicket(servicedesk.Ticket{
			ID: ticketID(n), Subject: subject, Description: description, Priority: "Medium",
			Requester: servicedesk.Person{Name: "Requester"},
		})
		if err != nil {
			http.Error(w, err.Error(), http.StatusConflict)
			return
		}
	}
}

// withdraw closes tickets whose webhooks will not be sent, so that the product's reconciliation leaves them alone.
func (s *simulators) withdraw(w http.ResponseWriter, r *http.Request) {
	var b batch
	if json.NewDecoder(r.Body).Decode(&b) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	for n := b.First; n < b.First+b.Count; n++ {
		if _, err := s.desk(n).CloseTicket(r.Context(), ticketID(n)); err != nil {
			http.Error(w, err.Error(), http.StatusConflict)
			return
		}
	}
}

// desk is where a ticket lives.
func (s *simulators) desk(ticket int) *servicedesk.Desk {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.desks[s.world.tenantOf(ticket)]
}

// report tells about every ticket that anybody asked for since first, and checks the count of notes against the desks' own.
func (s *simulators) report(w http.ResponseWriter, r *http.Request) {
	first, _ := strconv.Atoi(r.URL.Query().Get("first")) // 0 reports all
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[int]outside{}
	for n, o := range s.tickets {
		if n < first {
			continue
		}
		if stored := len(s.desks[s.world.tenantOf(n)].Notes(ticketID(n))); stored != o.Notes {
			http.Error(w, fmt.Sprintf("ticket %d: %d notes written, %d stored", n, o.Notes, stored), http.StatusConflict)
			return
		}
		out[n] = *o
	}
	_ = json.NewEncoder(w).Encode(out)
}

// remote is the benchmark's side of the simulators.
type remote struct {
	addresses
	process *child
}

func (r *remote) setLatencies(ctx context.Context, l latencies) error {
	return r.call(ctx, http.MethodPost, "/latencies", l, nil)
}

func (r *remote) file(ctx context.Context, first, count int) error {
	return r.call(ctx, http.MethodPost, "/tickets", batch{first, count}, nil)
}

func (r *remote) withdraw(ctx context.Context, first, count int) error {
	return r.call(ctx, http.MethodDelete, "/tickets", batch{first, count}, nil)
}

// setTenants says how many tenants take turns in the tickets to come.
func (r *remote) setTenants(ctx context.Context, n int) error {
	return r.call(ctx, http.MethodPost, "/tenants", n, nil)
}

func (r *remote) reset(ctx context.Context) error {
	return r.call(ctx, http.MethodPost, "/reset", nil, nil)
}

func (r *remote) count(ctx context.Context) (counts, error) {
	var c counts
	return c, r.call(ctx, http.MethodGet, "/count", nil, &c)
}

func (r *remote) report(ctx context.Context, first int) (map[int]outside, error) {
	out := map[int]outside{}
	return out, r.call(ctx, http.MethodGet, "/tickets?first="+strconv.Itoa(first), nil, &out)
}

func (r *remote) call(ctx context.Context, method, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, method, r.Control+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("ask simulators: %w", err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("ask simulators: %w", err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("ask simulators: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("simulators answer %d: %s", resp.StatusCode, answer)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("read simulators' answer: %w", err)
	}
	return nil
}
