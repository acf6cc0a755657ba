package servicedesk

import (
	"net/http"
	"sync"
	"time"
)

// Request is one request as the desk received it, secrets included.
type Request struct {
	Seq       int
	Time      time.Time
	Operation Operation
	Method    string
	Path      string
	Query     string
	Header    http.Header
	Body      string
	TicketID  string
	AccountID string
	// Status is what was answered; 0 while the request is in work or when it got no answer.
	Status int
	// Fault is the fault that decided the answer, if any.
	Fault FaultKind
}

// ledger records requests, or with countersOnly just how many there were, which
// keeps memory flat under load.
type ledger struct {
	mu           sync.Mutex
	countersOnly bool
	all          []Request
	counts       map[Operation]int
	total        int
}

// newLedger returns an empty ledger.
func newLedger(countersOnly bool) *ledger {
	return &ledger{countersOnly: countersOnly, counts: map[Operation]int{}}
}

// begin records the arrival, so that a request that never gets an answer is seen too.
func (l *ledger) begin(r Request) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total++
	l.counts[r.Operation]++
	if l.countersOnly {
		return -1
	}
	r.Seq = l.total
	l.all = append(l.all, r)
	return len(l.all) - 1
}

// end adds what was answered. Requests that get no answer keep status 0.
func (l *ledger) end(i, status int, fault FaultKind) {
	if i < 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all[i].Status, l.all[i].Fault = status, fault
}

// requests copies, since requests in work are still being completed.
func (l *ledger) requests() []Request {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]Request(nil), l.all...)
}

// count works with countersOnly too.
func (l *ledger) count(op Operation) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if op == "" {
		return l.total
	}
	return l.counts[op]
}
