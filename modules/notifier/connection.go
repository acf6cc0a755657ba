package notifier

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"aiagents/internal/fault"
)

// stateAge is how long a process may act on what it last read about a connection's pause.
const stateAge = 2 * time.Second

// stateCache holds the shared state of a connection as this process last saw it.
type stateCache struct {
	mu   sync.Mutex
	row  connectionRow
	seen time.Time
}

// connect returns the link to a tenant's desk, unless its connection is paused.
func (m *Module) connect(ctx context.Context, tenantID string) (*link, error) {
	l, err := m.link(ctx, tenantID)
	if err != nil {
		return nil, err
	}
	return l, l.gate(ctx)
}

// link returns this process's link for the tenant's present settings. New settings make a new link, so that a corrected
// key or address starts with a closed breaker.
func (m *Module) link(ctx context.Context, tenantID string) (*link, error) {
	conn, err := m.deps.Connections.Connection(ctx, tenantID)
	if err != nil {
		return nil, fmt.Errorf("read connection: %w", err)
	}
	if conn.TenantID != tenantID {
		return nil, fault.New(fault.Internal, "the connection belongs to another tenant")
	}
	print := fingerprint(conn)
	m.mu.Lock()
	defer m.mu.Unlock()
	if l, ok := m.links[tenantID]; ok && l.print == print {
		return l, nil
	}
	if err := m.checkConnection(conn); err != nil {
		return nil, err
	}
	l := m.newLink(conn, print)
	m.links[tenantID] = l
	return l, nil
}

func (m *Module) newLink(conn Connection, print [32]byte) *link {
	l := &link{
		Connection: conn, print: print, module: m,
		breaker: &breaker{
			clock: m.clock, failures: m.config.BreakerFailures, pause: m.config.BreakerPause,
		},
		single: rate.NewLimiter(rate.Limit(m.config.RequestsPerSecond), burst(m.config.RequestsPerSecond)),
		lists:  rate.NewLimiter(rate.Limit(m.config.ListsPerSecond), 1),
	}
	if conn.Edition == EditionGeneric {
		l.desk = &generic{link: l}
	} else {
		l.desk = &sdp{link: l}
	}
	return l
}

func burst(perSecond float64) int { return max(1, int(2*perSecond)) }

// fingerprint tells settings apart without keeping them.
func fingerprint(c Connection) [32]byte {
	return sha256.Sum256(fmt.Appendf(nil, "%q", []any{
		c.Edition, c.BaseURL, c.Portal, c.APIKey, c.OAuth.AccountsURL, c.OAuth.ClientID, c.OAuth.ClientSecret,
		c.OAuth.RefreshToken, c.NoteKey, c.AccountIDs, c.OnAmbiguous,
	}))
}

// checkConnection names everything that is missing or wrong, once per change of settings.
func (m *Module) checkConnection(c Connection) error {
	var faults []string
	need := func(ok bool, text string) {
		if !ok {
			faults = append(faults, text)
		}
	}
	switch c.Edition {
	case EditionCloud, EditionMSPCloud:
		o := c.OAuth
		need(o.AccountsURL != "" && o.ClientID != "" && o.ClientSecret != "" && o.RefreshToken != "",
			"edition "+c.Edition+" needs accounts_url, client_id, client_secret and refresh_token")
		if o.AccountsURL != "" {
			err := m.deps.Egress.CheckURL(o.AccountsURL)
			need(err == nil, fmt.Sprintf("accounts_url: %v", err))
		}
	case EditionOnPrem, EditionMSPOnPrem, EditionGeneric:
		need(c.APIKey != "", "edition "+c.Edition+" needs an API key")
	default:
		need(false, fmt.Sprintf("edition %q is unknown: use onprem, cloud, msp_onprem, msp_cloud or generic", c.Edition))
	}
	need(!c.msp() || len(c.AccountIDs) > 0,
		"edition "+c.Edition+" serves many customers: set the account ids (account.id on the desk) that belong to this tenant")
	need(c.NoteKey == "" || c.NoteKey == "note" || c.NoteKey == "request_note", "note_key must be note or request_note")
	need(c.OnAmbiguous == "" || c.OnAmbiguous == Verify || c.OnAmbiguous == NeverRepost,
		"on_ambiguous must be verify or never_repost")
	err := m.deps.Egress.CheckURL(c.BaseURL)
	need(err == nil, fmt.Sprintf("servicedesk_url: %v", err))
	if len(faults) == 0 {
		return nil
	}
	return fault.New(fault.Forbidden, "the service desk connection cannot be used: "+strings.Join(faults, "; ")).WithCode("CONNECTION_INCOMPLETE")
}

// root is the address of the API.
func (l *link) root(api string) string {
	base := strings.TrimRight(l.BaseURL, "/")
	base = strings.TrimSuffix(base, "/api/v3")
	if l.Portal != "" && !strings.Contains(base, "/app/") {
		base += "/app/" + url.PathEscape(l.Portal)
	}
	return base + api
}

// owns refuses a ticket of another customer of the same MSP. A ticket without an account is nobody's.
func (l *link) owns(accountID string) bool {
	return !l.msp() || accountID != "" && slices.Contains(l.AccountIDs, accountID)
}

// checkAccount says nothing of the ticket but the id that the caller gave.
func (l *link) checkAccount(t Ticket) error {
	if l.owns(t.AccountID) {
		return nil
	}
	return fault.Newf(fault.Forbidden,
		"ticket %s belongs to another account of this MSP desk: nothing of it was used. If the account is this tenant's, add its id to the tenant's account ids", t.ID).
		WithCode("FOREIGN_ACCOUNT")
}

// checkOwner is checkAccount for a ticket that is yet to be read. Only the MSP editions need the request.
func (l *link) checkOwner(ctx context.Context, ticketID string) error {
	if !l.msp() {
		return checkTicketID(ticketID)
	}
	_, err := l.ownTicket(ctx, ticketID)
	return err
}

// ownTicket reads a ticket and gives it out only when it is the tenant's.
func (l *link) ownTicket(ctx context.Context, ticketID string) (Ticket, error) {
	if err := checkTicketID(ticketID); err != nil {
		return Ticket{}, err
	}
	t, err := l.desk.ticket(ctx, ticketID)
	if err != nil {
		return Ticket{}, err
	}
	if err := l.checkAccount(t); err != nil {
		return Ticket{}, err
	}
	return t, nil
}

var ticketIDs = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}$`)

// checkTicketID keeps an id in its place in a path: no slash, and no dots that a server would take for a step up.
func checkTicketID(ticketID string) error {
	if ticketIDs.MatchString(ticketID) {
		return nil
	}
	return fault.New(fault.Invalid, "a ticket id has 1 to 100 letters, digits, dots, dashes and underscores, and starts with no dot")
}

// gate refuses while the connection is paused. Once the pause is due, one worker probes for all: a success resumes the
// connection, a failure extends the pause.
func (l *link) gate(ctx context.Context) error {
	row, err := l.sharedState(ctx)
	if err != nil || row.PausedAt == nil {
		return err
	}
	claimed, left, err := l.module.store.claimProbe(ctx, l.TenantID, l.module.config.ProbeInterval)
	if err != nil {
		return err
	}
	if claimed {
		err := l.desk.probe(ctx)
		if err == nil {
			return l.resume(ctx)
		}
		if k := classOf(err); k != unauthorized && k != forbidden && k != badToken {
			// Away, not refusing: that is no news about the credentials.
			return withRetry(asFault(err), l.module.config.ProbeInterval)
		}
		left = l.module.config.ProbeInterval
	}
	return fault.New(fault.Unauthenticated, "the connection to the service desk is paused: "+row.PauseReason).
		WithCode("CONNECTION_PAUSED").WithRetryAfter(max(left, time.Second))
}

// sharedState is cached for a moment only, and not at all while paused, so that a resume is seen at once.
func (l *link) sharedState(ctx context.Context) (connectionRow, error) {
	c := &l.state
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := l.module.clock(); now.Sub(c.seen) > stateAge || c.row.PausedAt != nil {
		row, err := l.module.store.connection(ctx, l.TenantID)
		if err != nil {
			return connectionRow{}, err
		}
		c.row, c.seen = row, now
	}
	return c.row, nil
}

func (c *stateCache) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen = time.Time{}
}

// pause stops all workers' calls to this desk until a probe succeeds.
func (l *link) pause(ctx context.Context, reason string) error {
	ctx, cancel := afterwards(ctx)
	defer cancel()
	defer l.state.forget()
	l.module.deps.Logger.WarnContext(ctx, "service desk connection paused", "tenant_id", l.TenantID, "reason", reason)
	return l.module.store.pause(ctx, l.TenantID, reason, l.module.config.ProbeInterval)
}

func (l *link) resume(ctx context.Context) error {
	defer l.state.forget()
	l.module.deps.Logger.InfoContext(ctx, "service desk connection resumed", "tenant_id", l.TenantID)
	return l.module.store.resume(ctx, l.TenantID)
}

// aliveEvery is how often a process says that a desk takes notes. All its workers would write the same row otherwise.
const aliveEvery = time.Minute

// aliveIsDue reports, once in aliveEvery, that the time has come to say so.
func (l *link) aliveIsDue() bool {
	now, last := l.module.clock().UnixNano(), l.alive.Load()
	return now-last >= aliveEvery.Nanoseconds() && l.alive.CompareAndSwap(last, now)
}

// finish turns the error of a call into a fault and pauses the connection when its credentials were refused.
func (l *link) finish(ctx context.Context, err error) error {
	switch classOf(err) {
	case unauthorized, badToken:
		f := asFault(err)
		if perr := l.pause(ctx, "the service desk refuses the credentials"); perr != nil {
			return fmt.Errorf("pause connection: %w", perr)
		}
		return withRetry(f, l.module.config.ProbeInterval)
	}
	return asFault(err)
}

// writeForbidden decides what a 403 on a note means. A key that may not even read, or with which no note has been written
// lately, is the connection's trouble and pauses it; otherwise it is this ticket's alone, and waiting would not help.
func (l *link) writeForbidden(ctx context.Context, err error) error {
	reason := "the technician of the API key may not add notes: check the technician's role"
	switch classOf(l.desk.probe(ctx)) {
	case unauthorized, badToken, forbidden:
		reason = "the service desk refuses the credentials"
	default:
		row, rerr := l.module.store.connection(ctx, l.TenantID)
		if rerr != nil {
			return rerr
		}
		if row.PostedLately {
			return asFault(err)
		}
	}
	if perr := l.pause(ctx, reason); perr != nil {
		return fmt.Errorf("pause connection: %w", perr)
	}
	return withRetry(asFault(err), l.module.config.ProbeInterval)
}

// afterwards is a context for recording what happened even when the caller has gone.
func afterwards(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
}
