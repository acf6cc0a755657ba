package evidence

import (
	"time"
)

// Ticket is the incident being enhanced, as the service desk knows it.
type Ticket struct {
	ID          string    `json:"id"`
	Subject     string    `json:"subject,omitempty"`
	Description string    `json:"description,omitempty"`
	Priority    string    `json:"priority,omitempty"`
	Category    string    `json:"category,omitempty"`
	Requester   string    `json:"requester,omitempty"`
	AccountID   string    `json:"account_id,omitempty"`
	AccountName string    `json:"account_name,omitempty"`
	CreatedAt   time.Time `json:"created_at"`
}

// Text is the subject and the description as one text, for search and for recognising systems.
func (t Ticket) Text() string {
	if t.Subject == "" {
		return t.Description
	}
	return t.Subject + "\n" + t.Description
}

// Bundle is everything that was gathered for one ticket.
type Bundle struct {
	Ticket     Ticket          `json:"ticket"`
	Similar    []SimilarTicket `json:"similar,omitempty"`
	Articles   []Article       `json:"articles,omitempty"`
	Systems    []System        `json:"systems,omitempty"`
	Monitoring []Observation   `json:"monitoring,omitempty"`
	Storm      *Storm          `json:"storm,omitempty"`
	// Sources says what each gatherer did, in a fixed order. A source that failed is data: the note tells it.
	Sources []SourceReport `json:"sources"`
}

// SimilarTicket is a solved ticket of the same tenant with a usable resolution.
type SimilarTicket struct {
	// ID is "T-" and the ticket id of the desk.
	ID         string    `json:"id"`
	TicketID   string    `json:"ticket_id"`
	Subject    string    `json:"subject"`
	Excerpt    string    `json:"excerpt,omitempty"`
	Resolution string    `json:"resolution"`
	ResolvedAt time.Time `json:"resolved_at"`
	// Score is the calibrated probability, 0 to 1, that this ticket has the same cause.
	Score float64 `json:"score"`
	// Source is the provenance of the row: import, webhook, sync.
	Source string `json:"source,omitempty"`
}

// Article is a section of the tenant's documentation.
type Article struct {
	// ID is "KB-" and a short stable code of the article.
	ID      string  `json:"id"`
	Title   string  `json:"title"`
	Section string  `json:"section,omitempty"`
	Excerpt string  `json:"excerpt"`
	Source  string  `json:"source,omitempty"`
	URL     string  `json:"url,omitempty"`
	Score   float64 `json:"score"`
}

// System is one host of the tenant's inventory, or an address or name in the ticket that the inventory does not know.
type System struct {
	// ID is "S-" and the host name, or the address where there is no name.
	ID       string            `json:"id"`
	Hostname string            `json:"hostname,omitempty"`
	IP       string            `json:"ip,omitempty"`
	Role     string            `json:"role,omitempty"`
	Location string            `json:"location,omitempty"`
	Metadata map[string]string `json:"metadata,omitempty"`
	// MatchedBy is the text of the ticket that named it, such as "10.2.3.4" or "FS-01".
	MatchedBy string `json:"matched_by,omitempty"`
	// How is one of: address, network, name, unknown.
	How string `json:"how"`
	// Retired is set when the inventory has the host as soft-deleted.
	Retired bool `json:"retired,omitempty"`
}

// Observation is one thing that monitoring said about a named host around the ticket's time.
type Observation struct {
	// ID is "M-" and a running number.
	ID       string    `json:"id"`
	Provider string    `json:"provider"`
	Host     string    `json:"host,omitempty"`
	Summary  string    `json:"summary"`
	Severity string    `json:"severity,omitempty"`
	Since    time.Time `json:"since"`
	// AboutHost tells facts about a host of the ticket from things that merely happened near it in time.
	AboutHost bool   `json:"about_host"`
	URL       string `json:"url,omitempty"`
}

// Storm reports open tickets that look alike within a short time.
type Storm struct {
	Count   int           `json:"count"`
	Window  time.Duration `json:"window"`
	Tickets []string      `json:"tickets"`
}

// Outcome is how a gatherer ended.
type Outcome string

// The outcomes of a gatherer. Only Found and Nothing mean that the source was really asked.
const (
	Found         Outcome = "found"
	Nothing       Outcome = "nothing"
	Failed        Outcome = "failed"
	TimedOut      Outcome = "timed_out"
	NotConfigured Outcome = "not_configured"
	Skipped       Outcome = "skipped"
)

// SourceReport says what one gatherer did.
type SourceReport struct {
	// Name is one of: similar_tickets, knowledge, inventory, monitoring, documentation.
	Name     string        `json:"name"`
	Outcome  Outcome       `json:"outcome"`
	Found    int           `json:"found"`
	Reason   string        `json:"reason,omitempty"`
	Duration time.Duration `json:"duration"`
}
