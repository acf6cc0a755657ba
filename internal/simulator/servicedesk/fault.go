package servicedesk

import (
	"math/rand/v2"
	"regexp"
	"sync"
	"time"
)

// FaultKind says what goes wrong.
type FaultKind string

// The faults. "Apply" means that the operation takes effect on the desk.
const (
	ErrorBeforeApply FaultKind = "error_before_apply" // 500 (or Status), nothing applied
	ErrorAfterApply  FaultKind = "error_after_apply"  // applied, then 500 (or Status)
	CutBeforeApply   FaultKind = "cut_before_apply"   // connection closed, nothing applied
	CutAfterApply    FaultKind = "cut_after_apply"    // applied, connection closed without an answer
	TruncateAnswer   FaultKind = "truncate_answer"    // applied, connection closed in mid answer
	ApplyLate        FaultKind = "apply_late"         // applied after Delay even if the caller left; with Status answered at once
	Stall            FaultKind = "stall"              // no answer until the caller leaves, nothing applied
	SlowDrip         FaultKind = "slow_drip"          // applied, answer sent one byte per Delay
	Unauthorized     FaultKind = "unauthorized"       // 401, code 4022
	Forbidden        FaultKind = "forbidden"          // 403, code 4002
	NotFound         FaultKind = "not_found"          // 404, code 4007
	TooManyRequests  FaultKind = "too_many_requests"  // 429, code 4015, Retry-After if set
	Redirect         FaultKind = "redirect"           // 307 (or Status) to Location
	HTMLPage         FaultKind = "html_page"          // 200 with a login page, nothing applied
	ListLag          FaultKind = "list_lag"           // notes and tickets younger than Delay are not listed
	StripMarker      FaultKind = "strip_marker"       // text matching Pattern is removed from notes
)

// Fault is a programmed failure. Empty selectors match everything; all that are
// set must match. Of several matching answers the one programmed first strikes;
// ListLag and StripMarker work beside any other.
type Fault struct {
	Kind      FaultKind
	Operation Operation
	Account   string // of the ticket, on MSP
	Ticket    string
	// Times is how often it strikes before it is used up; 0 is until ClearFaults.
	Times int
	// Probability of striking a matching request; 0 means always.
	Probability float64
	Delay       time.Duration
	RetryAfter  time.Duration
	Status      int
	Location    string
	Pattern     *regexp.Regexp // default: the reference AIA-…
}

// defaultMarker is the visible reference of our notes, with its word in front.
var defaultMarker = regexp.MustCompile(`(Ref )?AIA-[A-Za-z0-9_-]+`)

// modifies tells faults that change data from faults that decide the answer.
func (f Fault) modifies() bool { return f.Kind == ListLag || f.Kind == StripMarker }

// matches keeps modifiers to the operations they can change, so that Times is not used
// up by others.
func (f Fault) matches(op Operation, account, ticket string) bool {
	switch f.Kind {
	case ListLag:
		if op != NotesList && op != RequestsList {
			return false
		}
	case StripMarker:
		if op != NotesAdd && op != NotesUpdate {
			return false
		}
	}
	return (f.Operation == "" || f.Operation == op) &&
		(f.Account == "" || f.Account == account) &&
		(f.Ticket == "" || f.Ticket == ticket)
}

// faultSet holds the programmed faults in the order they were added.
type faultSet struct {
	mu    sync.Mutex
	rng   *rand.Rand
	armed []*Fault
}

// newFaultSet seeds the dice, so that one seed and one order of requests give one run.
func newFaultSet(seed uint64) *faultSet {
	return &faultSet{rng: rand.New(rand.NewPCG(seed, 0x5eed))}
}

func (s *faultSet) add(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.armed = append(s.armed, &f)
}

func (s *faultSet) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.armed = nil
}

// strike picks the faults for one request: at most one that decides the answer,
// and every modifier.
func (s *faultSet) strike(op Operation, account, ticket string) (answer *Fault, modifiers []Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := s.armed[:0]
	for _, f := range s.armed {
		hit := f.matches(op, account, ticket) && (f.modifies() || answer == nil) &&
			(f.Probability == 0 || s.rng.Float64() < f.Probability)
		if hit {
			struck := *f
			if f.modifies() {
				modifiers = append(modifiers, struck)
			} else {
				answer = &struck
			}
			if f.Times == 1 {
				continue
			}
			f.Times = max(f.Times-1, 0)
		}
		kept = append(kept, f)
	}
	s.armed = kept
	return answer, modifiers
}

// lag is how long a change stays invisible to lists in this request.
func (c *call) lag() time.Duration {
	var d time.Duration
	for _, f := range c.modifiers {
		if f.Kind == ListLag {
			d = max(d, f.Delay)
		}
	}
	return d
}

// stripMarkers plays a desk that drops part of a text, for example a rule that masks
// what looks like a reference.
func (c *call) stripMarkers(html string) string {
	for _, f := range c.modifiers {
		if f.Kind != StripMarker {
			continue
		}
		pattern := f.Pattern
		if pattern == nil {
			pattern = defaultMarker
		}
		html = pattern.ReplaceAllString(html, "")
	}
	return html
}
