package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"aiagents/app/demodata"
	"aiagents/db/embedded"
	"aiagents/internal/fault"
	"aiagents/internal/secret"
	"aiagents/internal/simulator/servicedesk"
	"aiagents/modules/enhancement/note"
	"aiagents/modules/enhancement/systems"
	"aiagents/modules/tenant"
)

// demoPatience is how long the demo waits for each note.
const demoPatience = 60 * time.Second

// demo is one run of the main job on an embedded default. Everything in it is what production runs; only the service desks
// are simulated, and they refuse what real ones refuse.
type demo struct {
	out   io.Writer
	begin time.Time
	dir   string
	p     *process
	desks map[string]*demoDesk
	filed []filedTicket
}

// demoDesk is the simulated service desk of one tenant.
type demoDesk struct {
	desk *servicedesk.Desk
	srv  *servicedesk.Server
	data demodata.Tenant
}

// filedTicket is one new ticket and what came of it.
type filedTicket struct {
	demodata.NewTicket
	id     string
	filed  time.Time
	answer servicedesk.WebhookAnswer
	note   servicedesk.Note
}

// stage prints what is being done, with the time since the start.
func (d *demo) stage(format string, args ...any) {
	_, _ = fmt.Fprintf(d.out, "%6.1fs  %s\n", time.Since(d.begin).Seconds(), fmt.Sprintf(format, args...))
}

// startDemo starts the database and an all role on free loopback ports. The user's model settings count; everything else
// of the configuration is the demo's own, so that a demo can never touch a real installation.
func startDemo(ctx context.Context, user OpenAIConfig, out io.Writer) (d *demo, err error) {
	d = &demo{out: out, begin: time.Now(), desks: map[string]*demoDesk{}}
	if d.dir, err = embedded.TempDir(fmt.Sprintf("aiagents-demo-%d", os.Getpid())); err != nil {
		return nil, err
	}
	cfg := defaultConfig()
	cfg.DataDir = d.dir
	cfg.OpenAI = user
	cfg.Tenant.AllowHTTP = true
	cfg.HTTP.Addr, cfg.Ops.Addr = "127.0.0.1:0", "127.0.0.1:0"
	cfg.HTTP.ShutdownDelay = 0
	logs, err := os.Create(filepath.Join(d.dir, "aiagents.log"))
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	d.stage("starting the embedded Postgres and migrating it")
	if d.p, err = start(ctx, roles["all"], cfg, logs, out); err != nil {
		return nil, errors.Join(err, os.RemoveAll(d.dir))
	}
	d.stage("Postgres is ready; the role 'all' takes webhooks on %s", d.p.publicAddr())
	return d, nil
}

// onboard creates a tenant with its service desk, and imports its past.
func (d *demo) onboard(ctx context.Context, data demodata.Tenant) error {
	apiKey := strings.ToUpper(fmt.Sprintf("%x", randomBytes(16)))
	created, err := d.p.system.tenants.Create(ctx, "demo", tenant.CreateInput{
		ID: data.ID, Name: data.Name, Edition: data.Edition, ServiceDeskURL: "http://127.0.0.1:1",
		APIKey: secret.New(apiKey), AccountIDs: demoAccounts(data),
	})
	if err != nil {
		return fmt.Errorf("create tenant %s: %w", data.ID, err)
	}
	options := servicedesk.Options{
		Edition: servicedesk.Edition(data.Edition), APIKey: apiKey, Author: "aiagents",
		Webhooks: []servicedesk.Webhook{{
			URL:      "http://" + d.p.publicAddr() + "/webhook/servicedesk/" + data.ID,
			TenantID: data.ID, Token: created.WebhookSecret.Reveal(), Body: servicedesk.ThinBody,
		}},
	}
	for _, id := range demoAccounts(data) {
		options.Accounts = append(options.Accounts, servicedesk.Account{ID: id, Name: data.Name})
	}
	desk, err := servicedesk.New(options)
	if err != nil {
		return fmt.Errorf("start service desk: %w", err)
	}
	srv, err := servicedesk.Serve("127.0.0.1:0", desk)
	if err != nil {
		return fmt.Errorf("start service desk: %w", err)
	}
	d.desks[data.ID] = &demoDesk{desk: desk, srv: srv, data: data}
	if _, err := d.p.system.tenants.Update(ctx, "demo", data.ID, tenant.UpdateInput{ServiceDeskURL: &srv.URL}); err != nil {
		return fmt.Errorf("point tenant %s at its desk: %w", data.ID, err)
	}
	return d.importPast(ctx, data)
}

// demoAccounts are the MSP accounts of a tenant whose desk serves several customers.
func demoAccounts(data demodata.Tenant) []string {
	if data.Edition == tenant.MSPOnPrem {
		return []string{"301"}
	}
	return nil
}

func (d *demo) importPast(ctx context.Context, data demodata.Tenant) error {
	format, err := ticketFormat("", data.TicketsFile)
	if err != nil {
		return err
	}
	tickets, err := demodata.Files().Open(data.TicketsFile)
	if err != nil {
		return fmt.Errorf("open sample tickets: %w", err)
	}
	defer func() { _ = tickets.Close() }() // embedded, read only
	pastTickets, err := d.p.system.tickets.ImportTickets(ctx, data.ID, format, tickets, 0, nil)
	if err != nil {
		return fmt.Errorf("import tickets of %s: %w", data.ID, err)
	}
	folder, err := fs.Sub(demodata.Files(), data.ArticlesDir)
	if err != nil {
		return fmt.Errorf("open sample articles: %w", err)
	}
	articles, err := d.p.system.tickets.ImportArticles(ctx, data.ID, "default", folder, nil)
	if err != nil {
		return fmt.Errorf("import articles of %s: %w", data.ID, err)
	}
	inventory, err := demodata.Files().Open(data.InventoryFile)
	if err != nil {
		return fmt.Errorf("open sample inventory: %w", err)
	}
	defer func() { _ = inventory.Close() }() // embedded, read only
	hosts, err := d.p.system.inventory.Import(ctx, data.ID, inventory, systems.ImportOptions{}, nil)
	if err != nil {
		return fmt.Errorf("import inventory of %s: %w", data.ID, err)
	}
	d.stage("tenant %s (%s): %d solved tickets, %d articles, %d hosts imported",
		data.ID, data.Edition, pastTickets.Added, articles.Added, hosts.Added)
	return nil
}

// file creates the new tickets on the desks, which send their webhooks by themselves.
func (d *demo) file(ctx context.Context) error {
	for _, t := range demodata.NewTickets() {
		filed := filedTicket{NewTicket: t, filed: time.Now()}
		var err error
		filed.id, filed.answer, err = d.desks[t.TenantID].desk.CreateTicket(ctx, servicedesk.Ticket{
			Subject: t.Subject, Description: strings.ReplaceAll(htmlEscape(t.Description), "\n", "<br>"), Priority: t.Priority,
			Requester: servicedesk.Person{Name: t.Requester},
		})
		if err != nil {
			return fmt.Errorf("file ticket: %w", err)
		}
		if filed.answer.Status != 202 {
			return fault.Newf(fault.Unavailable, "the webhook of ticket %s was answered with %d: %s", filed.id, filed.answer.Status, filed.answer.Body)
		}
		d.stage("%s: ticket %s filed, webhook answered 202 in %s: %s", t.TenantID, filed.id, filed.answer.Took.Round(100*time.Microsecond), t.Subject)
		d.filed = append(d.filed, filed)
	}
	return nil
}

// await waits until every ticket has its note on the desk.
func (d *demo) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, demoPatience)
	defer cancel()
	for i := range d.filed {
		t := &d.filed[i]
		for {
			if notes := d.desks[t.TenantID].desk.Notes(t.id); len(notes) > 0 {
				t.note = notes[0]
				break
			}
			select {
			case <-ctx.Done():
				return fault.Newf(fault.Unavailable, "ticket %s of %s got no note within %s; the log is %s", t.id, t.TenantID, demoPatience, filepath.Join(d.dir, "aiagents.log"))
			case <-time.After(20 * time.Millisecond):
			}
		}
		d.stage("%s: note on ticket %s, %s after the webhook", t.TenantID, t.id, t.note.Added.Sub(t.filed).Round(time.Millisecond))
	}
	return nil
}

// show prints the tickets with their notes as technicians see them.
func (d *demo) show() {
	for _, t := range d.filed {
		_, _ = fmt.Fprintf(d.out, "\n%s\n%s · ticket %s · %s · %s\n", strings.Repeat("─", 100), t.TenantID, t.id, t.Priority, t.Requester)
		_, _ = fmt.Fprintf(d.out, "Subject: %s\n%s\n\n", t.Subject, indent(t.Description, "  │ "))
		_, _ = fmt.Fprintf(d.out, "Private note (%s after the webhook):\n%s\n", t.note.Added.Sub(t.filed).Round(time.Millisecond), indent(note.TextOf(t.note.Description, 0), "  "))
	}
}

func indent(text, by string) string {
	return by + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n"+by)
}

func htmlEscape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}

// epilogue says where to look, and how to go on with a desk of one's own.
func (d *demo) epilogue(keep, model bool) {
	p := func(format string, args ...any) { _, _ = fmt.Fprintf(d.out, format+"\n", args...) }
	p("\n%s", strings.Repeat("─", 100))
	if !model {
		p("These notes are facts-only: the evidence arranged by rules. For notes written by a model, set AI_AGENTS_OPENAI_API_KEY")
		p("(and AI_AGENTS_OPENAI_BASE_URL for a compatible server) and run the demo again.")
	}
	if keep {
		p("\nRunning until Ctrl-C. Look at it in a browser:")
		for _, id := range sortedKeys(d.desks) {
			p("  service desk of %-20s %s", id, d.desks[id].srv.URL)
		}
		p("  console: runs, tenants, the queue%8s %s", "", d.p.consoleURL())
		p("  metrics %-33s http://%s/metrics", "", d.p.ops.addr())
	} else {
		p("\nTo look at the tickets and notes in a browser: run it with --keep.")
	}
	p("\nWith your own ServiceDesk Plus:")
	p("  1. aiagents all                                      (embedded Postgres; or set AI_AGENTS_DATABASE_URL)")
	p("  2. aiagents tenant create --id acme --name \"Acme\" --servicedesk-url https://desk.example.com:8080 \\")
	p("       --servicedesk-api-key-file key.txt              (prints the webhook secret)")
	p("  3. In ServiceDesk Plus: Admin > Integrations > Webhooks > New: POST to /webhook/servicedesk/acme, header")
	p("     X-ServiceDesk-Token with the secret, JSON body {\"ticket_id\": \"…\"}: type $ and pick the request's ID;")
	p("     then a trigger on created requests that runs it.")
	p("  4. aiagents tickets import FILE --tenant acme; aiagents knowledge import DIR --tenant acme; aiagents inventory import FILE --tenant acme")
}

// runDemo is the whole demo.
func runDemo(ctx context.Context, user OpenAIConfig, keep bool, out io.Writer) error {
	d, err := startDemo(ctx, user, out)
	if err != nil {
		return err
	}
	running, end := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- d.p.run(running) }()
	err = d.play(ctx)
	if err == nil {
		d.show()
		d.epilogue(keep, user.APIKey.IsSet() || user.BaseURL != defaultConfig().OpenAI.BaseURL)
		if keep {
			<-ctx.Done()
		}
		d.stage("done")
	}
	end()
	err = errors.Join(err, <-ended)
	for _, desk := range d.desks {
		err = errors.Join(err, desk.srv.Close())
	}
	if err == nil {
		err = os.RemoveAll(d.dir)
	}
	return err
}

func (d *demo) play(ctx context.Context) error {
	for _, data := range demodata.Tenants() {
		if err := d.onboard(ctx, data); err != nil {
			return err
		}
	}
	if err := d.file(ctx); err != nil {
		return err
	}
	return d.await(ctx)
}
