package app

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"aiagents/internal/secret"
	"aiagents/internal/simulator/openai"
	"aiagents/internal/simulator/servicedesk"
	"aiagents/modules/enhancement/note"
	"aiagents/modules/tenant"
)

// Two customers with the same problem, the same ticket numbers, hosts and addresses. Only the canary words tell whose data it
// is: one each for the past tickets, the articles and the hosts.
type canaries struct{ ticket, article, host string }

func (c canaries) all() []string { return []string{c.ticket, c.article, c.host} }

var (
	canariesOfAcme = canaries{"zebrafinch", "marzipanloaf", "Hyacinthroom"}
	canariesOfBolt = canaries{"quokkaline", "turnipgarden", "Foxgloveroom"}
)

const sameHost = "fs-lager-07"

var sameTicket = servicedesk.Ticket{
	ID: "700", Subject: "Backup of " + sameHost + " fails with error 0x8007045d",
	Description: "The nightly backup of " + sameHost + " (10.44.7.9) to the tape library fails with error 0x8007045d since the weekend.",
	Requester:   servicedesk.Person{Name: "Kim"},
}

// ordinary is what else happens at both customers, so that words have a weight.
var ordinary = []string{
	"Outlook asks for a password again", "Monitor stays black", "VPN drops every hour", "Mouse wheel is stuck", "Shared mailbox is missing",
	"Disk is nearly full", "Teams has no sound", "Printer jams on tray two", "Laptop is slow after an update", "Badge does not open the door",
}

// pastTickets, pastArticle and pastHosts are one customer's past.
func pastTickets(c canaries) string {
	csv := "ticket_id,subject,description,resolution,resolved_at,priority,tags\n"
	for i := range 4 {
		csv += fmt.Sprintf("%d,Backup of %s fails with error 0x8007045d,Nightly backup of %s to the tape library fails with error 0x8007045d,"+
			"Replaced the %s cable of the tape library and ran the backup again; error 0x8007045d is gone.,2026-10-0%dT08:00:00Z,high,backup\n", 500+i, sameHost, sameHost, c.ticket, i+1)
	}
	for i := range 40 {
		csv += fmt.Sprintf("%d,%s on machine %d,User reports %s.,%s.,2026-09-01T08:00:00Z,low,\n", 600+i, ordinary[i%len(ordinary)], i, ordinary[i%len(ordinary)], "Restarted it and confirmed with the user")
	}
	return csv
}

func pastArticle(c canaries) string {
	return "# Backup error 0x8007045d\n\nThe tape library reports error 0x8007045d when its " + c.article + " cable is loose. Reseat it, then run the nightly backup again.\n"
}

func pastHosts(c canaries) string {
	return "ip,hostname,role,location\n10.44.7.9," + sameHost + ",file server," + c.host + "\n"
}

// importPast feeds one customer's past through the commands that an operator uses.
func importPast(t *testing.T, h *harness, tenantID string, c canaries) {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "backup.md"), []byte(pastArticle(c)), 0o600))
	for _, command := range []struct {
		in   string
		args []string
	}{
		{pastTickets(c), []string{"tickets", "import", "-", "--format", "csv"}},
		{"", []string{"knowledge", "import", dir}},
		{pastHosts(c), []string{"inventory", "import", "-"}},
	} {
		code, out, errOut := h.cli(command.in, append(command.args, "--tenant", tenantID)...)
		require.Zero(t, code, "%v: %s%s", command.args, out, errOut)
	}
}

// requireNone looks for the words, in any case, in a text of which the test says what it is.
func requireNone(t *testing.T, text, what string, words ...string) {
	t.Helper()
	lower := strings.ToLower(text)
	for _, word := range words {
		if at := strings.Index(lower, strings.ToLower(word)); at >= 0 {
			require.Fail(t, "canary found", "%s has %q: …%s…", what, word, text[max(0, at-200):min(len(text), at+200)])
		}
	}
}

func requireAll(t *testing.T, text, what string, words ...string) {
	t.Helper()
	for _, word := range words {
		require.Contains(t, strings.ToLower(text), strings.ToLower(word), what)
	}
}

func TestNoContentReachesAnotherTenant(t *testing.T) {
	t.Parallel()
	h := newHarness(t, withModel(openai.Options{Respond: repeatEvidence}))
	type customer struct {
		*testTenant
		own, foreign canaries
		run          string
	}
	customers := []*customer{
		{testTenant: h.tenant("acme", nil, nil), own: canariesOfAcme, foreign: canariesOfBolt},
		{testTenant: h.tenant("bolt", nil, nil), own: canariesOfBolt, foreign: canariesOfAcme},
	}
	for _, c := range customers {
		importPast(t, h, c.id, c.own)
	}
	for _, c := range customers {
		c.file(sameTicket)
	}
	for _, c := range customers {
		text := note.TextOf(c.note(sameTicket.ID).Description, 0)
		requireAll(t, text, "own note of "+c.id, c.own.all()...)
		requireNone(t, text, "note of "+c.id, c.foreign.all()...)
		c.settled()
		c.run = scan[string](h, `SELECT id::text FROM enhancement_history WHERE tenant_id = $1`, c.id)
	}
	for _, c := range customers {
		commandsShowNothingForeign(t, h, c.id, c.run, c.own, c.foreign)
		for _, request := range c.desk.Requests() {
			requireNone(t, request.Body+request.Query, "request to the desk of "+c.id, c.foreign.all()...)
		}
		for table, rows := range dumpOf(h, c.id) {
			requireNone(t, rows, "rows of "+c.id+" in "+table, c.foreign.all()...)
		}
	}
	// A run's id is no secret, and must be of no use to anyone else.
	code, out, errOut := h.cli("", "enhancement", "show", customers[1].run, "--tenant", "acme")
	require.Equal(t, exitFailed, code)
	require.Contains(t, errOut, "there is no enhancement "+customers[1].run)
	requireNone(t, out+errOut, "the refusal", canariesOfBolt.all()...)
	code, _, _ = h.cli("", "enhancement", "retry", customers[1].run, "--tenant", "acme")
	require.Equal(t, exitFailed, code)

	require.GreaterOrEqual(t, h.model.Calls(), 2)
	for _, request := range h.model.Requests() {
		var owners int
		for _, c := range customers {
			if strings.Contains(request.Body, c.own.ticket) {
				owners++
				requireNone(t, request.Body, "prompt of "+c.id, c.foreign.all()...)
			}
		}
		require.Equal(t, 1, owners, "every prompt belongs to one tenant")
	}
	all := append(canariesOfAcme.all(), canariesOfBolt.all()...)
	requireNone(t, h.dump()["river_job"], "the queue", all...)
	requireNone(t, h.metrics(), "metrics", all...)
	h.stop()
	requireNone(t, h.logs.String(), "logs", all...)
}

// dumpOf is every row of one tenant, by table.
func dumpOf(h *harness, tenantID string) map[string]string {
	h.t.Helper()
	out := map[string]string{}
	for _, table := range scanAll[string](h, `SELECT c.relname::text FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id'
		WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace`) {
		out[table] = scan[string](h, `SELECT coalesce(string_agg(t::text, E'\n'), '') FROM `+table+` t WHERE tenant_id = $1`, tenantID)
	}
	return out
}

func commandsShowNothingForeign(t *testing.T, h *harness, id, run string, own, foreign canaries) {
	t.Helper()
	shown := ""
	for _, args := range [][]string{
		{"tenant", "show", id},
		{"tenant", "show", id, "--output", "json"},
		{"enhancement", "list", "--tenant", id},
		{"enhancement", "list", "--tenant", id, "--output", "json"},
		{"enhancement", "show", run, "--tenant", id},
		{"enhancement", "show", run, "--tenant", id, "--output", "json"},
		{"enhancement", "preview", "--tenant", id, "--ticket-id", sameTicket.ID},
		{"enhancement", "preview", "--tenant", id, "--description", sameTicket.Description, "--subject", sameTicket.Subject, "--output", "json"},
	} {
		code, out, errOut := h.cli("", args...)
		require.Zero(t, code, "%v: %s", args, errOut)
		requireNone(t, out+errOut, strings.Join(args, " "), foreign.all()...)
		shown += out
	}
	requireAll(t, shown, "the commands show the tenant's own", own.all()...)
}

// The strongest form: nothing of another tenant changes a note or a prompt in any way, down to the order of the evidence, the
// scores and the confidence.
func TestAnotherTenantsDataChangesNothing(t *testing.T) {
	t.Parallel()
	h := newHarness(t, withModel(openai.Options{Respond: repeatEvidence}))
	acme := h.tenant("acme", nil, nil)
	importPast(t, h, "acme", canariesOfAcme)
	acme.file(sameTicket)
	before := masked(acme.note(sameTicket.ID).Description)
	acme.settled()
	run := scan[string](h, `SELECT id::text FROM enhancement_history WHERE tenant_id = 'acme'`)
	stored := func() string {
		return masked(scan[string](h, `SELECT jsonb_set(context_gathered, '{sources}', '[]')::text || llm_output FROM enhancement_history WHERE tenant_id = 'acme'`))
	}
	storedBefore := stored()

	bolt := h.tenant("bolt", nil, nil)
	importPast(t, h, "bolt", canariesOfBolt)
	bolt.file(sameTicket)
	bolt.note(sameTicket.ID)
	bolt.settled()
	code, _, errOut := h.cli("", "enhancement", "retry", run, "--tenant", "acme")
	require.Zero(t, code, errOut)
	acme.settled()
	require.Equal(t, before, masked(acme.desk.Notes(sameTicket.ID)[0].Description))
	require.Equal(t, storedBefore, stored())
	prompts := map[string][]string{}
	for _, r := range h.model.Requests() {
		prompt := masked(r.Prompt)
		for _, c := range []canaries{canariesOfAcme, canariesOfBolt} {
			if strings.Contains(prompt, c.ticket) {
				prompts[c.ticket] = append(prompts[c.ticket], prompt)
			}
		}
	}
	require.Len(t, prompts[canariesOfAcme.ticket], 2)
	require.Equal(t, prompts[canariesOfAcme.ticket][0], prompts[canariesOfAcme.ticket][1])
	// Shown to fail: the same ticket with another past is another note.
	require.NotEqual(t, before, masked(bolt.desk.Notes(sameTicket.ID)[0].Description))
}

// maskable is what may differ between two runs of one ticket: the reference, the fence of the prompt, and times.
var maskable = regexp.MustCompile(`AIA-[0-9A-Z]+|\b[A-Z2-7]{26}\b|\d+(\.\d+)?\s?(ms|s|seconds)\b|\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:[\d.]+)?(Z|[+-]\d\d:\d\d)?`)

func masked(text string) string { return maskable.ReplaceAllString(text, "…") }

// mspAccounts is an MSP with two customers on one desk.
var mspAccounts = []servicedesk.Account{{ID: "301", Name: "Clinic"}, {ID: "302", Name: "Bakery"}}

func (tt *testTenant) learn(account string, c canaries) {
	tt.h.t.Helper()
	for i := range 4 {
		id := tt.add(servicedesk.Ticket{
			Subject: sameTicket.Subject, Description: sameTicket.Description, AccountID: account, Status: "Closed",
			Resolution: fmt.Sprintf("Replaced the %s cable %d of the tape library and ran the backup again; error 0x8007045d is gone.", c.ticket, i),
		})
		require.Equal(tt.h.t, 202, tt.send(tt.body(id, "event", "ticket_closed")).status)
	}
	tt.settled()
}

// Articles and hosts are known by tenant only. A tenant with several accounts gets none of them in a note, and the note says
// so; a tenant with one gets them.
func TestArticlesAndHostsOfSeveralAccountsAreNotShown(t *testing.T) {
	t.Parallel()
	h := newHarness(t, withModel(openai.Options{Respond: repeatEvidence}))
	d := h.newDesk(servicedesk.Options{Edition: servicedesk.MSPOnPrem, Accounts: mspAccounts})
	for id, accounts := range map[string][]string{"several": {"301", "302"}, "single": {"301"}} {
		tt := h.tenant(id, d, func(in *tenant.CreateInput) { in.Edition, in.AccountIDs = tenant.MSPOnPrem, accounts })
		importPast(t, h, id, canariesOfBolt)
		ticket := sameTicket
		ticket.ID, ticket.AccountID = "", "301"
		ticketID := tt.add(ticket)
		require.Equal(t, 202, tt.send(tt.body(ticketID)).status)
		text := note.TextOf(tt.note(ticketID).Description, 0)
		if id == "single" {
			requireAll(t, text, "note of the tenant with one account", canariesOfBolt.host)
			continue
		}
		requireNone(t, text, "note of the tenant with several accounts", canariesOfBolt.all()...)
		require.Contains(t, text, "not kept apart by account")
	}
}

func TestAccountsOfOneTenantDoNotSeeEachOthersTickets(t *testing.T) {
	t.Parallel()
	h := newHarness(t, withModel(openai.Options{Respond: repeatEvidence}))
	d := h.newDesk(servicedesk.Options{Edition: servicedesk.MSPOnPrem, Accounts: mspAccounts})
	msp := h.tenant("msp", d, func(in *tenant.CreateInput) {
		in.Edition, in.AccountIDs = tenant.MSPOnPrem, []string{"301", "302"}
	})
	msp.learn("301", canariesOfAcme)
	msp.learn("302", canariesOfBolt)
	require.Equal(t, 8, scan[int](h, `SELECT count(*) FROM ticket_history WHERE account_id IN ('301', '302')`))
	own := map[string]canaries{"301": canariesOfAcme, "302": canariesOfBolt}
	foreign := map[string]canaries{"301": canariesOfBolt, "302": canariesOfAcme}
	for account := range own {
		ticket := sameTicket
		ticket.ID, ticket.AccountID = "", account
		id := msp.file(ticket)
		text := note.TextOf(msp.note(id).Description, 0)
		requireAll(t, text, "note of account "+account, own[account].ticket)
		requireNone(t, text, "note of account "+account, foreign[account].ticket)
		code, out, errOut := h.cli("", "enhancement", "preview", "--tenant", "msp", "--ticket-id", id, "--output", "json")
		require.Zero(t, code, errOut)
		requireNone(t, out, "preview of account "+account, foreign[account].ticket)
	}
	for _, r := range h.model.Requests() {
		require.False(t, strings.Contains(r.Body, canariesOfAcme.ticket) && strings.Contains(r.Body, canariesOfBolt.ticket), "a prompt holds tickets of one account")
	}
	// A text without an account could be anyone's: it finds nobody's tickets.
	code, out, errOut := h.cli("", "enhancement", "preview", "--tenant", "msp", "--description", sameTicket.Description, "--output", "json")
	require.Zero(t, code, errOut)
	requireNone(t, out, "preview without an account", canariesOfAcme.ticket, canariesOfBolt.ticket)
}

// Two tenants, each one customer of the same MSP desk. The desk's webhook for one is set up with the other's credential.
func TestATicketOfAnotherAccountIsRefused(t *testing.T) {
	t.Parallel()
	h := newHarness(t, withModel(openai.Options{Respond: repeatEvidence}))
	d := h.newDesk(servicedesk.Options{Edition: servicedesk.MSPOnPrem, Accounts: mspAccounts})
	make := func(id, account string) *testTenant {
		return h.tenant(id, d, func(in *tenant.CreateInput) { in.Edition, in.AccountIDs = tenant.MSPOnPrem, []string{account} })
	}
	clinic, bakery := make("clinic", "301"), make("bakery", "302")
	foreign := bakery.add(servicedesk.Ticket{Subject: "quokkaline oven", Description: "quokkaline oven offline", AccountID: "302", Status: "Closed", Resolution: "quokkaline reset"})
	// The webhook may even bring a text of its own: the desk still decides whose ticket it is.
	for _, event := range []string{"ticket_created", "ticket_closed"} {
		a := clinic.send(clinic.body(foreign, "event", event, "subject", "oven", "description", "oven offline"))
		require.Equal(t, 202, a.status, "the credential is the clinic's own")
	}
	clinic.settled()
	require.Equal(t, []string{"failed", "failed"}, scanAll[string](h, `SELECT status FROM enhancement_history WHERE tenant_id = 'clinic'`))
	require.Empty(t, d.Notes(foreign))
	require.Empty(t, h.model.Find("quokkaline"))
	for table, rows := range dumpOf(h, "clinic") {
		requireNone(t, rows, "rows of the clinic in "+table, "quokkaline")
	}
	code, out, errOut := h.cli("", "enhancement", "preview", "--tenant", "clinic", "--ticket-id", foreign)
	require.Equal(t, exitFailed, code)
	requireNone(t, out+errOut, "preview", "quokkaline")
	// The rightful tenant gets its note.
	require.Equal(t, 202, bakery.send(bakery.body(foreign)).status)
	require.Contains(t, bakery.note(foreign).Description, "AIA-")
}

// Outside development no role starts on a database that would not keep tenants apart, and one that runs says so.
func TestARoleRefusesADatabaseThatDoesNotIsolate(t *testing.T) {
	t.Parallel()
	h := newHarness(t, withRole("serve"))
	begin := func(environment, url string) error {
		cfg := h.cfg
		cfg.Environment, cfg.Database.URL = environment, secret.New(url)
		p, err := start(t.Context(), roles["serve"], cfg, h.logs, io.Discard)
		if err == nil {
			p.abandon(context.WithoutCancel(t.Context()))
		}
		return err
	}
	require.NoError(t, begin(production, h.db.AppURL))
	for _, environment := range []string{production, staging} {
		require.ErrorContains(t, begin(environment, h.db.OwnerURL), "owns tenant tables")
		require.ErrorContains(t, begin(environment, h.db.AdminURL), "is a superuser")
	}
	require.NoError(t, begin(development, h.db.OwnerURL))
	require.Contains(t, h.logs.String(), "tenants are not isolated by the database")

	require.Equal(t, 200, h.do("GET", h.publicURL()+"/health/ready", nil).status)
	owner, err := pgx.Connect(t.Context(), h.db.OwnerURL)
	require.NoError(t, err)
	defer func() { _ = owner.Close(context.Background()) }()
	_, err = owner.Exec(t.Context(), `ALTER TABLE ticket_history NO FORCE ROW LEVEL SECURITY`)
	require.NoError(t, err)
	ready := h.do("GET", h.publicURL()+"/health/ready", nil)
	require.Equal(t, 503, ready.status)
	require.Contains(t, ready.body, "ticket_history")
	require.ErrorContains(t, begin(production, h.db.AppURL), "ticket_history")
}
