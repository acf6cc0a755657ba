package console

import (
	"html/template"
	"time"
)

// The views below are what the pages take: words and places, no more decisions. They are made from the services' answers by
// the file of their page.

// overviewView is the start page.
type overviewView struct {
	Windows      []option
	Verdict      message
	Tiles        []tile
	Trouble      []trouble
	Rates, Times chart
	Queue        []queueRow
	Workers      []workerRow
	Storms       []stormRow
	Housekeeping []choreRow
}

// tile is one figure with its meaning.
type tile struct {
	Name, Figure, Unit, Text string
	Badge                    *badge
}

// trouble is one thing that needs a person: what, why, and what to do.
type trouble struct {
	Name, Href   string
	Badge        badge
	Reason, Step string
}

type queueRow struct{ Name, Meaning, Depth, Oldest string }

type workerRow struct {
	ID      string
	Badge   badge
	Running int
	Seen    time.Time
}

type stormRow struct {
	Tenant, TenantHref, Subject string
	Since                       time.Time
	Count                       int
	Tickets                     []link
	More                        int
}

type link struct{ Name, Href string }

type choreRow struct {
	Name  string
	At    time.Time
	Badge badge
	Text  string
}

// tenantsView is the list of tenants.
type tenantsView struct{ Rows []tenantRow }

type tenantRow struct {
	ID, Name, Href        string
	State                 badge
	Reason, Next, Edition string
	Runs, Failed, P95     string
	LastNote              *time.Time
}

// tenantView is one tenant.
type tenantView struct {
	ID, Name, Href, Edition string
	State                   badge
	Actions                 []ask
	// KeyForm says which key the form wants; empty shows none. KeyFault is what was wrong with the last one.
	KeyForm, KeyFault string
	Version           int64
	// Tested is what a test of the connection just found.
	Tested                         *tested
	Connection                     badge
	ConnectionText, ConnectionStep string
	ConnectionFacts                []fact
	Lately, Knows, Settings        []fact
	RunsHref                       string
	Runs                           []runRow
	Audit                          []auditRow
}

// tested is a report on a connection.
type tested struct {
	Tone, Text string
	Checks     []checkRow
}

type checkRow struct {
	Badge              badge
	Name, Detail, Next string
}

type auditRow struct {
	At            time.Time
	Actor, Action string
}

// runRow is a run in a list.
type runRow struct {
	Href, Ticket, Subject string
	Badge                 badge
	Why                   string
	Tenant, TenantHref    string
	Took                  string
	At                    time.Time
}

// runsView is the list of runs with its filters as they were typed.
type runsView struct {
	Tenants, Statuses, Outcomes []option
	Ticket, Since, Until, Fault string
	Rows                        []runRow
	Newest, Older               string
}

// runView is one run.
type runView struct {
	Title, Ticket, Event, Tenant, TenantHref string
	Received                                 time.Time
	Badge                                    badge
	Retry                                    *ask
	Story                                    message
	Total                                    string
	Timeline                                 []step
	Reference                                string
	Note                                     template.HTML
	NoteText                                 string
	Cost                                     []fact
	Calls                                    []callRow
	Facts                                    []fact
	Description                              string
	Evidence                                 []evidenceTable
	Guards                                   []string
}

// step is one line of a timeline; X and W place its stroke on a board 1000 wide.
type step struct {
	Name, Took string
	Nested     bool
	X, W       float64
	Class      string
	Badge      *badge
	Text       string
}

type callRow struct{ Model, Result, Tokens, Took string }

type evidenceTable struct {
	Name    string
	Columns []string
	Rows    [][]string
}

// onboardView is the form of a new tenant, with what was typed but for secrets.
type onboardView struct {
	Summary   string
	Faults    []fieldFault
	Fields    []field
	Auth      []option
	AuthFault string
}

type fieldFault struct{ Field, Name, Text string }

type field struct {
	ID, Name, Kind, Hint, Value, Fault string
	Optional                           bool
	Options                            []option
}

// secretView shows a webhook secret the one time that it is shown, and what to do with it.
type secretView struct {
	Name, Href, Heading          string
	Tested                       *tested
	Secret, Grace, Path, Payload string
	// Menu is where the desk has its webhooks; empty for a system that we do not know.
	Menu, RunsHref string
}
