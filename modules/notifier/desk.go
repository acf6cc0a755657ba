package notifier

import (
	"context"
	"net/http"
	"time"
)

// Ticket is a request on a desk, with its HTML turned into text.
type Ticket struct {
	ID          string
	DisplayID   string
	Subject     string
	Description string
	Resolution  string
	Priority    string
	Category    string
	Status      string
	Requester   string
	Technician  string
	Site        string
	AccountID   string
	AccountName string
	Tags        []string
	CreatedAt   time.Time
	UpdatedAt   time.Time
	ResolvedAt  time.Time
	// ServiceRequest tells a request for something from an incident.
	ServiceRequest bool
	// Brief is set on rows of a list: their description is cut and their resolution is missing.
	Brief bool
}

// TicketQuery selects tickets of a list. At most one of the times may be set; rows come in ascending order of it.
type TicketQuery struct {
	CreatedSince time.Time
	UpdatedSince time.Time
	// Start is 1 for the first page, then TicketPage.Next.
	Start int
}

// TicketPage is one page of a list.
type TicketPage struct {
	Tickets []Ticket
	// Next is the Start of the next page, and 0 on the last. A row that changes while pages are read may move across a
	// border, so a sync should overlap its windows.
	Next int
	// Hidden counts rows that were dropped because their account is not the tenant's.
	Hidden int
}

// Note is a note on a ticket. HTML is empty when the desk's list leaves bodies out.
type Note struct {
	ID      string
	HTML    string
	Author  string
	AddedAt time.Time
}

// Solution is an article of a desk's knowledge base.
type Solution struct {
	ID    string
	Title string
	Text  string
	// HTML is the text as the desk has it, with its headings.
	HTML      string
	Topic     string
	Keywords  []string
	Status    string
	Public    bool
	ExpiresAt time.Time
	UpdatedAt time.Time
	AccountID string
}

// SolutionPage is one page of approved, unexpired solutions.
type SolutionPage struct {
	Solutions []Solution
	Next      int
	Hidden    int
}

// Asset is a machine of a desk's asset management. IP is empty on builds whose lists have no addresses.
type Asset struct {
	ID        string
	Name      string
	IP        string
	Type      string
	Site      string
	AccountID string
}

// AssetPage is one page of assets.
type AssetPage struct {
	Assets []Asset
	Next   int
	Hidden int
}

// desk is one edition's way of speaking.
type desk interface {
	protocol
	reader
	writer
	lister
}

// protocol puts credentials on requests and tells good answers from bad ones.
type protocol interface {
	dress(req *http.Request, credential string)
	// judge returns nil for a good answer and a *callError for any other.
	judge(resp *http.Response, body []byte, now time.Time) error
}

// reader reads about one ticket. Nothing it does changes the desk.
type reader interface {
	ticket(ctx context.Context, ticketID string) (Ticket, error)
	// notes returns all notes of a ticket. Bodies that the list leaves out are fetched one by one, for notes younger than
	// since; the zero time fetches all.
	notes(ctx context.Context, ticketID string, since time.Time) ([]Note, error)
	probe(ctx context.Context) error
}

// writer changes the notes of one ticket. errUnsupported says that the edition has no such call.
type writer interface {
	addNote(ctx context.Context, ticketID, html string) (noteID string, err error)
	updateNote(ctx context.Context, ticketID, noteID, html string) error
	deleteNote(ctx context.Context, ticketID, noteID string) error
}

// lister reads what the history and the knowledge base are made of.
type lister interface {
	resolution(ctx context.Context, ticketID string) (text string, err error)
	tickets(ctx context.Context, q TicketQuery) (TicketPage, error)
	solutions(ctx context.Context, start int) (SolutionPage, error)
	assets(ctx context.Context, start int) (AssetPage, error)
}
