package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"aiagents/internal/fault"
	"aiagents/modules/tenant"
)

// How a finding stands. Only a failure makes the command fail.
const (
	findingOK   = "ok"
	findingWarn = "warn"
	findingFail = "fail"
)

// The limits of an examination. What is slower than this is as good as down for the work that has to be done with it.
const (
	doctorStepTime   = 10 * time.Second
	doctorModelTime  = 20 * time.Second
	doctorTenantTime = 20 * time.Second
	doctorTenants    = 8 // examined at once
	doctorMaxText    = 300
)

// finding is one line of an examination: what was checked, how it stands, and what to do about it.
type finding struct {
	Status string `json:"status"`
	Check  string `json:"check"`
	Tenant string `json:"tenant,omitempty"`
	Detail string `json:"detail"`
	Next   string `json:"next,omitempty"`
}

// findings collects the lines of one part of an examination, in order. Parts that run side by side have one each.
type findings struct {
	tenant string
	list   []finding
}

func (f *findings) ok(check, format string, args ...any) {
	f.add(findingOK, check, "", format, args...)
}

func (f *findings) warn(check, next, format string, args ...any) {
	f.add(findingWarn, check, next, format, args...)
}

func (f *findings) fail(check, next, format string, args ...any) {
	f.add(findingFail, check, next, format, args...)
}

// insecure is a failure where the system guards real data, and a warning in development, where the owner's role may be the
// only one.
func (f *findings) insecure(cfg Config, check, next, format string, args ...any) {
	status := findingFail
	if cfg.development() {
		status = findingWarn
	}
	f.add(status, check, next, format, args...)
}

func (f *findings) add(status, check, next, format string, args ...any) {
	f.list = append(f.list, finding{Status: status, Check: check, Tenant: f.tenant, Detail: clip(fmt.Sprintf(format, args...)), Next: next})
}

// clip keeps a line a line.
func clip(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if runes := []rune(text); len(runes) > doctorMaxText {
		return string(runes[:doctorMaxText]) + "…"
	}
	return text
}

// doctor examines an installation. It changes nothing but this: a desk that works again is resumed, and the webhook round
// trip leaves one skipped row a day in each tenant's history.
type doctor struct {
	cfg      Config
	environ  []string
	tenantID string // empty is all
	hook     string // address of the webhook
	hookSet  bool   // the operator gave it
	now      func() time.Time
	progress io.Writer
	examined func(done, total int) // tenants
}

// examine runs every check that can still tell something: what depends on a part that failed is skipped, and says so.
func (d *doctor) examine(ctx context.Context) []finding {
	var top, model, hook, rest findings
	d.configuration(&top)
	var side sync.WaitGroup
	side.Go(func() { d.model(ctx, &model) })
	listening := false
	side.Go(func() { listening = d.listening(ctx, &hook) })
	s, primary, done := d.open(ctx, &top)
	defer done()
	side.Wait()
	if s == nil {
		rest.warn("tenants", "", "skipped: see the failures above")
	} else {
		d.identity(ctx, &rest, s)
		d.housekeeping(ctx, &rest, s)
		d.tenants(ctx, &rest, s, primary, listening)
	}
	return slices.Concat(top.list, model.list, hook.list, rest.list)
}

// open examines database and keys, and wires the modules when the tenants can be examined. primary is the id of the key
// that should protect all tenants.
func (d *doctor) open(ctx context.Context, f *findings) (s *system, primary string, done func()) {
	done = func() {}
	logger := slog.New(slog.DiscardHandler) // what the modules would log is in the findings
	base, err := openDatabase(ctx, d.cfg, true, logger, d.progress)
	if err != nil {
		f.fail("database", "check that Postgres runs and that AI_AGENTS_DATABASE_URL names its host, database, role and password",
			"%s", explain(err))
		f.warn("schema, roles, queue", "", "skipped: the database cannot be reached")
		return nil, "", done
	}
	done = func() { base.close(context.WithoutCancel(ctx)) }
	if !d.database(ctx, f, base) {
		return nil, "", done
	}
	d.queue(ctx, f, base.DB)
	keys, err := openKeyring(d.cfg, base)
	if err != nil {
		f.fail("encryption keys", "set AI_AGENTS_ENCRYPTION_KEYS to the keyring that every process has", "%s", explain(err))
		return nil, "", done
	}
	f.ok("encryption keys", "%d in the keyring, %s protects what is new", len(keys.IDs()), keys.Primary())
	tel, err := newTelemetry(ctx, logger, d.cfg.Telemetry, version())
	if err == nil {
		s, err = wire(base.DB, keys, d.cfg, tel)
	}
	if err != nil {
		f.fail("modules", "correct the setting that is named", "%s", explain(err))
		return nil, "", done
	}
	return s, keys.Primary(), func() {
		s.close(context.WithoutCancel(ctx))
		base.close(context.WithoutCancel(ctx))
	}
}

// configuration reports what is right by now, since a faulty configuration ends the examination before it begins.
func (d *doctor) configuration(f *findings) {
	f.ok("configuration", "valid, environment %s", d.cfg.Environment)
	for _, name := range unknownVariables(&d.cfg, d.environ) {
		f.warn("configuration", "correct its name, see 'aiagents config show', or remove it", "%s is no setting of this program", name)
	}
}

// faultyConfiguration is the whole report on a configuration that cannot be used.
func faultyConfiguration(err error) []finding {
	var f findings
	faults := strings.Split(asFault(err).Message, "\n  - ")
	if len(faults) > 1 {
		faults = faults[1:] // the first is their heading
	}
	for _, text := range faults {
		f.fail("configuration", "correct it in the file of --config or in the environment", "%s", text)
	}
	f.warn("everything else", "", "skipped: the configuration cannot be used")
	return f.list
}

// tenants examines all tenants, some at once, each within its own time.
func (d *doctor) tenants(ctx context.Context, f *findings, s *system, primary string, listening bool) {
	list, err := s.tenants.List(ctx)
	if err != nil {
		f.fail("tenants", "run this again; when it stays, look at the database", "they cannot be listed: %s", explain(err))
		return
	}
	if d.tenantID != "" {
		list = slices.DeleteFunc(list, func(t tenant.Listing) bool { return t.ID != d.tenantID })
		if len(list) == 0 {
			f.fail("tenants", "see 'aiagents tenant list'", "there is no tenant %q", d.tenantID)
		}
	} else if len(list) == 0 {
		f.warn("tenants", "add one with 'aiagents tenant create'", "there is none yet")
	}
	parts := make([]findings, len(list))
	var running sync.WaitGroup
	var mu sync.Mutex
	done, slots := 0, make(chan struct{}, doctorTenants)
	for i, t := range list {
		running.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			limited, cancel := context.WithTimeout(ctx, doctorTenantTime)
			defer cancel()
			parts[i].tenant = t.ID
			d.tenant(limited, &parts[i], s, t, primary, listening)
			mu.Lock()
			defer mu.Unlock()
			done++
			d.examined(done, len(list))
		})
	}
	running.Wait()
	for _, part := range parts {
		f.list = append(f.list, part.list...)
	}
}

// explain is what an operator needs to know of an error: its public message, and the network's own words where it failed
// there. Neither holds a secret.
func explain(err error) string {
	var f *fault.Error
	if !errors.As(err, &f) {
		return err.Error()
	}
	if cause := networkCause(err); cause != "" && !strings.Contains(f.Message, cause) {
		return f.Message + ": " + cause
	}
	return f.Message
}

func networkCause(err error) string {
	var certificate *tls.CertificateVerificationError
	var server *pgconn.PgError
	var name *net.DNSError
	var operation *net.OpError
	switch {
	case errors.As(err, &certificate):
		return certificate.Error()
	case errors.As(err, &server):
		return server.Message + " (SQLSTATE " + server.Code + ")"
	case errors.As(err, &name):
		return name.Error()
	case errors.As(err, &operation):
		return operation.Error()
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	}
	return ""
}
