package servicedesk

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Ticket is a request on the desk. Only Subject is needed; the desk fills in the rest.
type Ticket struct {
	ID          string    `json:"id"` // numeric, except on Generic; assigned when empty
	Subject     string    `json:"subject"`
	Description string    `json:"description"` // HTML
	Status      string    `json:"status"`      // default Open
	Priority    string    `json:"priority,omitempty"`
	Category    string    `json:"category,omitempty"`
	Requester   Person    `json:"requester"`
	Technician  Person    `json:"technician"`
	Group       string    `json:"group,omitempty"`
	Site        string    `json:"site,omitempty"`
	AccountID   string    `json:"account_id,omitempty"` // MSP; default the first account
	Resolution  string    `json:"resolution,omitempty"` // HTML
	Tags        []string  `json:"tags,omitempty"`
	Created     time.Time `json:"created"`
	Updated     time.Time `json:"updated"`
	Closed      time.Time `json:"closed,omitzero"`
	Responded   bool      `json:"responded,omitempty"`
}

// Person is a requester or technician.
type Person struct {
	Name  string `json:"name,omitempty"`
	Email string `json:"email,omitempty"`
}

// Note is a note on a ticket as stored, after sanitising.
type Note struct {
	ID                 string    `json:"id"`
	TicketID           string    `json:"ticket_id"`
	Description        string    `json:"description"`
	Author             string    `json:"author"`
	ShowToRequester    bool      `json:"show_to_requester"`
	NotifyTechnician   bool      `json:"notify_technician"`
	MarkFirstResponse  bool      `json:"mark_first_response"`
	AddToLinkedRequest bool      `json:"add_to_linked_requests"`
	Added              time.Time `json:"added"`
	Updated            time.Time `json:"updated"`
}

// Solution is a knowledge base article.
type Solution struct {
	ID, Title, Description, Topic, Keywords string
	Status                                  string // Approved (default), Rejected, Approval Pending, UnApproved
	Public                                  bool
	Expires                                 time.Time // zero never expires
	Updated                                 time.Time
}

// Asset is a machine on the desk's inventory.
type Asset struct{ ID, Name, Type, IP, Site, AccountID string }

// ticketState is a ticket with its notes in the order they were applied.
type ticketState struct {
	Ticket
	notes []*Note
}

// store is the desk's memory. Values handed out are copies.
type store struct {
	mu        sync.RWMutex
	opts      Options
	tickets   map[string]*ticketState
	order     []*ticketState
	solutions []Solution
	assets    []Asset
	next      map[string]int64
}

// newStore returns an empty store that numbers in the edition's way.
func newStore(o Options) *store {
	return &store{opts: o, tickets: map[string]*ticketState{}, next: map[string]int64{}}
}

// newID counts per kind: small integers on premises, 18 digits on Cloud.
func (s *store) newID(kind string) string {
	s.next[kind]++
	if s.opts.Edition.cloud() {
		return strconv.FormatInt(100000000000000000+s.next[kind], 10)
	}
	return strconv.FormatInt(s.next[kind], 10)
}

// seen keeps newID ahead of ids that came from outside.
func (s *store) seen(kind, id string) {
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		return
	}
	if s.opts.Edition.cloud() {
		n -= 100000000000000000
	}
	s.next[kind] = max(s.next[kind], n)
}

// addTicket checks what the API cannot send but a test can get wrong: a taken id, an id
// the edition could not have, an account that does not exist.
func (s *store) addTicket(t Ticket, now time.Time) (Ticket, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.ID == "" {
		t.ID = s.newID("ticket")
	}
	if _, err := strconv.ParseInt(t.ID, 10, 64); err != nil && s.opts.Edition != Generic {
		return Ticket{}, fmt.Errorf("ticket id %q is not a number", t.ID)
	}
	if s.tickets[t.ID] != nil {
		return Ticket{}, fmt.Errorf("ticket %s exists already", t.ID)
	}
	if s.opts.Edition.msp() {
		t.AccountID = cmp.Or(t.AccountID, s.opts.Accounts[0].ID)
		if s.account(t.AccountID).ID == "" {
			return Ticket{}, fmt.Errorf("unknown account %q", t.AccountID)
		}
	}
	t.Status = cmp.Or(t.Status, "Open")
	if t.Created.IsZero() {
		t.Created = now
	}
	if t.Updated.IsZero() {
		t.Updated = t.Created
	}
	s.putTicket(t)
	return t, nil
}

// putTicket inserts or replaces a ticket and keeps its notes; called with the lock held.
func (s *store) putTicket(t Ticket) {
	s.seen("ticket", t.ID)
	if held := s.tickets[t.ID]; held != nil {
		held.Ticket = t
		return
	}
	held := &ticketState{Ticket: t}
	s.tickets[t.ID] = held
	s.order = append(s.order, held)
}

// ticket returns a copy, so that callers may keep it without the lock.
func (s *store) ticket(id string) (Ticket, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if t := s.tickets[id]; t != nil {
		return t.Ticket, true
	}
	return Ticket{}, false
}

// update changes a ticket under the lock and returns the result, which is what the
// journal and the webhooks see even if another change follows at once.
func (s *store) update(id string, now time.Time, change func(*Ticket)) (Ticket, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tickets[id]
	if t == nil {
		return Ticket{}, false
	}
	change(&t.Ticket)
	t.Updated = now
	return t.Ticket, true
}

// all copies every ticket in the order of creation.
func (s *store) all() []Ticket {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := make([]Ticket, len(s.order))
	for i, t := range s.order {
		out[i] = t.Ticket
	}
	return out
}

// addNote appends without looking for an equal note: exactly once is the client's job.
// A note counts as a change of its ticket.
func (s *store) addNote(n Note, now time.Time) (Note, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tickets[n.TicketID]
	if t == nil {
		return Note{}, false
	}
	n.ID, n.Added, n.Updated = s.newID("note"), now, now
	t.notes = append(t.notes, &n)
	t.Updated = now
	t.Responded = t.Responded || n.MarkFirstResponse
	return n, true
}

// notes copies the notes of a ticket; nil for an unknown one.
func (s *store) notes(ticket string) []Note {
	s.mu.RLock()
	defer s.mu.RUnlock()
	t := s.tickets[ticket]
	if t == nil {
		return nil
	}
	out := make([]Note, len(t.notes))
	for i, n := range t.notes {
		out[i] = *n
	}
	return out
}

// editNote changes one note, or deletes it when change is nil.
func (s *store) editNote(ticket, id string, now time.Time, change func(*Note)) (Note, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tickets[ticket]
	if t == nil {
		return Note{}, false
	}
	i := slices.IndexFunc(t.notes, func(n *Note) bool { return n.ID == id })
	if i < 0 {
		return Note{}, false
	}
	n := t.notes[i]
	if change == nil {
		t.notes = slices.Delete(t.notes, i, i+1)
		return *n, true
	}
	change(n)
	n.Updated = now
	return *n, true
}

// account is the zero Account for an unknown id.
func (s *store) account(id string) Account {
	for _, a := range s.opts.Accounts {
		if a.ID == id {
			return a
		}
	}
	return Account{}
}
