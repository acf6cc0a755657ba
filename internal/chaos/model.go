package main

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"time"

	"aiagents/internal/simulator/openai"
)

// Every ticket carries a word that names it, and every tenant's texts one that names the tenant. They are made of letters,
// so that nothing on the way takes them for an address, a number or a name to be hidden.
var (
	eventWord  = regexp.MustCompile(`\bevent[a-z]{8}\b`)
	canaryWord = regexp.MustCompile(`\bcanary[a-z]{6}\b`)
)

// modelCall is one chat completion that was asked for.
type modelCall struct {
	process  string
	event    string
	canaries []string
	start    time.Time
	end      time.Time
	fault    openai.Kind // good when none was programmed
	aborted  bool        // the caller left before the answer
}

// model is the simulated model behind its link. Each process of the product calls it under a path of its own.
type model struct {
	sim    *openai.Server
	http   *httptest.Server
	link   *link
	median time.Duration
	steady bool // every answer takes the median

	mu     sync.Mutex
	rng    *rand.Rand
	rate   float64 // of faults
	mix    []openai.Behaviour
	next   map[string][]openai.Behaviour // by event, chosen before the simulator asks
	calls  []modelCall
	active int
}

func startModel(o options) (*model, error) {
	m := &model{median: o.modelMedian, rng: o.dice("model"), next: map[string][]openai.Behaviour{}}
	m.sim = openai.New(openai.Options{CountersOnly: true, Behave: m.behave})
	m.http = httptest.NewServer(http.HandlerFunc(m.serve))
	var err error
	m.link, err = newLink("model", strings.TrimPrefix(m.http.URL, "http://"))
	return m, err
}

// url is the base URL for one process.
func (m *model) url(process string) string {
	return fmt.Sprintf("http://%s/%s/v1", m.link.addr(), process)
}

// setSteady takes the chance out of the model's times, so that two measurements can be compared.
func (m *model) setSteady(steady bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.steady = steady
}

// setFaults makes a share of the calls misbehave, by one of mix.
func (m *model) setFaults(rate float64, mix ...openai.Behaviour) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rate, m.mix = rate, mix
}

// latency is log-normal: p95 is about two and a half times the median. It stays below the product's time limit, since a
// call that runs into it is paid again by right.
func (m *model) latency() time.Duration {
	if m.steady {
		return m.median
	}
	return time.Duration(float64(m.median) * min(4, math.Exp(m.rng.NormFloat64()*0.55)))
}

func (m *model) behave(r openai.Request) openai.Behaviour {
	m.mu.Lock()
	defer m.mu.Unlock()
	event := eventWord.FindString(r.Prompt())
	queue := m.next[event]
	if len(queue) == 0 {
		return openai.Behaviour{}
	}
	m.next[event] = queue[1:]
	return queue[0]
}

// serve records a call around the simulator's work.
func (m *model) serve(w http.ResponseWriter, r *http.Request) {
	process, path, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	r.URL.Path = "/" + path
	if !strings.HasSuffix(path, "/chat/completions") {
		m.sim.Handler().ServeHTTP(w, r)
		return
	}
	c := modelCall{process: process, event: eventWord.FindString(string(body)), start: time.Now()}
	seen := map[string]bool{}
	for _, found := range canaryWord.FindAllString(string(body), -1) {
		if !seen[found] {
			seen[found] = true
			c.canaries = append(c.canaries, found)
		}
	}
	m.mu.Lock()
	b := openai.Behaviour{Kind: openai.Good}
	if len(m.mix) > 0 && m.rng.Float64() < m.rate {
		b = m.mix[m.rng.IntN(len(m.mix))]
	}
	c.fault = b.Kind
	b.Delay += m.latency()
	m.next[c.event] = append(m.next[c.event], b)
	m.active++
	m.mu.Unlock()
	defer func() {
		c.end = time.Now()
		c.aborted = r.Context().Err() != nil
		m.mu.Lock()
		defer m.mu.Unlock()
		m.active--
		m.calls = append(m.calls, c)
	}()
	m.sim.Handler().ServeHTTP(w, r)
}

// take returns the calls since the last take.
func (m *model) take() []modelCall {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := m.calls
	m.calls = nil
	return out
}

func (m *model) close() {
	m.link.close()
	m.sim.Close()
	m.http.CloseClientConnections()
	m.http.Close()
}
