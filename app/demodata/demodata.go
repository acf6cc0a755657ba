package demodata

import (
	"embed"
	"io/fs"
)

// The patterns name the folders, so that a file with a leading dot or
// underscore stays out.
//
//go:embed harbor-clinic ridgeline-logistics
var files embed.FS

// Tenant is one sample customer. The paths are relative to [Files].
type Tenant struct {
	ID   string
	Name string
	// Edition is the ServiceDesk Plus edition that the customer runs, in the
	// words of `tenant create --edition`.
	Edition string
	// TicketsFile is CSV or JSONL, told apart by its extension.
	TicketsFile string
	// ArticlesDir holds Markdown, HTML and text files in sub-folders.
	ArticlesDir string
	// InventoryFile is CSV with metadata columns after the fixed four.
	InventoryFile string
}

// NewTicket is an incident that nobody has solved yet, as terse as people
// write them. The demo files it with the ticketing system, which gives the id.
type NewTicket struct {
	// Key names the ticket in tests and in the demo's output.
	Key         string
	TenantID    string
	Subject     string
	Description string
	Priority    string
	// Requester is a role, never a person.
	Requester string
	Expect    Expectation
}

// Expectation says what the tenant's own data holds on a new ticket.
type Expectation struct {
	// AnyTicketID lists solved tickets with the same problem; at least one of
	// them must be among the similar tickets found.
	AnyTicketID []string
	// ArticleTitle and Hostname must be found too.
	ArticleTitle string
	Hostname     string
	// Nothing is true when the honest answer is that no history is relevant;
	// all other fields are empty then.
	Nothing bool
}

// Files returns the embedded files, one folder a tenant.
func Files() fs.FS { return files }

// Tenants returns the two sample customers.
func Tenants() []Tenant {
	return []Tenant{
		{
			ID:            "harbor-clinic",
			Name:          "Harbor Clinic",
			Edition:       "onprem",
			TicketsFile:   "harbor-clinic/tickets.csv",
			ArticlesDir:   "harbor-clinic/articles",
			InventoryFile: "harbor-clinic/inventory.csv",
		},
		{
			ID:            "ridgeline-logistics",
			Name:          "Ridgeline Logistics",
			Edition:       "msp_onprem",
			TicketsFile:   "ridgeline-logistics/tickets.jsonl",
			ArticlesDir:   "ridgeline-logistics/articles",
			InventoryFile: "ridgeline-logistics/inventory.csv",
		},
	}
}
