package notifier

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"aiagents/internal/egress"
	"aiagents/internal/fault"
	"aiagents/internal/simulator/servicedesk"
)

func TestNewNamesEverythingThatIsMissing(t *testing.T) {
	t.Parallel()
	_, err := New(Deps{}, DefaultConfig())
	require.ErrorContains(t, err, "DB, Connections, Sealer, Egress, Logger")
	b := newBench(t, options(servicedesk.OnPrem))
	guard, err := egress.New(egress.Policy{})
	require.NoError(t, err)
	deps := Deps{DB: b.db, Connections: b.conns, Sealer: tagSealer{}, Egress: guard, Logger: slog.New(slog.DiscardHandler)}
	_, err = New(deps, Config{})
	require.ErrorContains(t, err, "notifier.post_timeout")
	require.ErrorContains(t, err, "notifier.breaker_pause")
	m, err := New(deps, DefaultConfig())
	require.NoError(t, err)
	require.Equal(t, 45*time.Second, m.config.QuietTime())
}

func TestAConnectionNeverPrintsItsSecrets(t *testing.T) {
	t.Parallel()
	c := Connection{TenantID: tenant, Edition: EditionCloud, APIKey: "s3cret", OAuth: OAuth{ClientSecret: "s3cret", RefreshToken: "s3cret"}}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "connection", c, "pointer", &c)
	for _, text := range []string{c.String(), fmt.Sprintf("%v %+v %#v %s", c, c, c, &c), log.String()} {
		require.NotContains(t, text, "s3cret")
	}
}

func TestAnIncompleteConnectionSaysWhatToSet(t *testing.T) {
	t.Parallel()
	b := newBench(t, options(servicedesk.MSPOnPrem))
	m := b.module()
	for text, change := range map[string]func(*Connection){
		"set the account ids":    func(c *Connection) { c.AccountIDs = nil },
		"needs an API key":       func(c *Connection) { c.APIKey = "" },
		"is unknown":             func(c *Connection) { c.Edition = "jira" },
		"needs accounts_url":     func(c *Connection) { c.Edition = EditionMSPCloud },
		"note_key must be":       func(c *Connection) { c.NoteKey = "remark" },
		"on_ambiguous must be":   func(c *Connection) { c.OnAmbiguous = "perhaps" },
		"the URL is refused":     func(c *Connection) { c.BaseURL = "ftp://desk" },
		"AI_AGENTS_EGRESS_ALLOW": func(c *Connection) { c.BaseURL = "https://10.1.2.3" },
	} {
		good := b.conns.byID[tenant]
		b.conns.change(tenant, change)
		_, err := m.GetRequest(t.Context(), tenant, "1")
		require.ErrorContains(t, err, text)
		b.conns.change(tenant, func(c *Connection) { *c = good })
	}
	require.Zero(t, b.desk.Count(""), "nothing was sent")
	b.conns.change(tenant, func(c *Connection) { c.TenantID = "other" })
	_, err := m.GetRequest(t.Context(), tenant, "1")
	require.ErrorContains(t, err, "another tenant")
}

func TestAnAddressThatIsRefusedWhenDialledIsNotPostedTo(t *testing.T) {
	t.Parallel()
	b := newBench(t, options(servicedesk.OnPrem))
	strict, err := egress.New(egress.Policy{AllowHTTP: true})
	require.NoError(t, err)
	m := b.module()
	m.writes = strict.Client(egress.Options{SingleUse: true}) // as if the name had begun to resolve to this machine
	r := b.request(b.ticket())
	_, err = m.Post(t.Context(), r)
	requireCode(t, err, fault.Forbidden, "EGRESS_REFUSED")
	require.Zero(t, fault.RetryAfterOf(err))
	require.Equal(t, "ready", b.row(r).State)
	require.Zero(t, b.desk.Count(""))
}

func TestANoteThatCouldNotBeRecognisedIsNotPosted(t *testing.T) {
	t.Parallel()
	b := newBench(t, options(servicedesk.OnPrem))
	m := b.module()
	good := b.request(b.ticket())
	for name, change := range map[string]func(*PostRequest){
		"no reference":     func(r *PostRequest) { r.Reference = "" },
		"short reference":  func(r *PostRequest) { r.Reference, r.HTML = "AIA-1", "<p>Ref AIA-1</p>" },
		"hidden reference": func(r *PostRequest) { r.HTML = "<p>text <!-- " + r.Reference + " --></p>" },
		"no enhancement":   func(r *PostRequest) { r.EnhancementID = "" },
		"no epoch":         func(r *PostRequest) { r.Epoch = 0 },
	} {
		r := good
		change(&r)
		_, err := m.Post(t.Context(), r)
		require.Equal(t, fault.Internal, fault.KindOf(err), name)
		require.Error(t, err, name)
	}
	require.Zero(t, b.desk.Count(""))
}

func TestMetricsCountWhatHappened(t *testing.T) {
	t.Parallel()
	b := newBench(t, options(servicedesk.OnPrem)).hasty()
	m := b.module()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(m.Collectors()...)
	r := b.request(b.ticket())
	b.desk.AddFault(servicedesk.Fault{Kind: servicedesk.CutAfterApply, Operation: servicedesk.NotesAdd, Times: 1})
	_, err := b.finish(r, m)
	require.NoError(t, err)
	families, err := registry.Gather()
	require.NoError(t, err)
	got := map[string]float64{}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			for _, label := range metric.GetLabel() {
				if family.GetName() == "aiagents_note_posts_total" && label.GetName() == "outcome" {
					got[label.GetValue()] = metric.GetCounter().GetValue()
				}
			}
		}
	}
	require.InDelta(t, 1, got["ambiguous"], 0)
	require.InDelta(t, 1, got["adopted"], 0)
	require.Zero(t, got["posted"])
}

func TestOnMSPEditionsAForeignTicketIsRefusedBeforeUse(t *testing.T) {
	t.Parallel()
	for _, edition := range []servicedesk.Edition{servicedesk.MSPOnPrem, servicedesk.MSPCloud} {
		t.Run(string(edition), func(t *testing.T) {
			t.Parallel()
			b := newBench(t, options(edition))
			m := b.module()
			foreign, err := b.desk.AddTicket(servicedesk.Ticket{Subject: "Payroll canary", AccountID: "302"})
			require.NoError(t, err)
			own := b.ticket()
			got, err := m.GetRequest(t.Context(), tenant, foreign.ID)
			requireCode(t, err, fault.Forbidden, "FOREIGN_ACCOUNT")
			require.Zero(t, got)
			require.NotContains(t, err.Error(), "canary")
			_, err = m.Post(t.Context(), b.request(foreign.ID))
			requireCode(t, err, fault.Forbidden, "FOREIGN_ACCOUNT")
			_, err = m.ListNotes(t.Context(), tenant, foreign.ID)
			requireCode(t, err, fault.Forbidden, "FOREIGN_ACCOUNT")
			_, err = m.GetResolution(t.Context(), tenant, foreign.ID)
			requireCode(t, err, fault.Forbidden, "FOREIGN_ACCOUNT")
			page, err := m.ListRequests(t.Context(), tenant, TicketQuery{})
			require.NoError(t, err)
			require.Len(t, page.Tickets, 1)
			require.Equal(t, own, page.Tickets[0].ID)
			require.Equal(t, 1, page.Hidden)
			require.Empty(t, b.desk.Notes(foreign.ID))
			b.conns.change(tenant, func(c *Connection) { c.AccountIDs = append(c.AccountIDs, "302") })
			_, err = m.GetRequest(t.Context(), tenant, foreign.ID)
			require.NoError(t, err, "once the account is the tenant's, so is the ticket")
		})
	}
}

func TestRefusedCredentialsPauseAllWorkersUntilAProbeSucceeds(t *testing.T) {
	t.Parallel()
	b := newBench(t, options(servicedesk.OnPrem))
	b.config.ProbeInterval = 3 * time.Second
	one, two := b.module(), b.module()
	r := b.request(b.ticket())
	b.desk.SetAPIKey("a-new-key")
	_, err := one.Post(t.Context(), r)
	require.Equal(t, fault.Unauthenticated, fault.KindOf(err))
	require.Positive(t, fault.RetryAfterOf(err))
	state, err := two.ConnectionState(t.Context(), tenant)
	require.NoError(t, err)
	require.True(t, state.Paused)
	require.Contains(t, state.Reason, "credentials")
	asked := b.desk.Count("")
	for range 5 {
		_, err = two.GetRequest(t.Context(), tenant, r.TicketID)
		requireCode(t, err, fault.Unauthenticated, "CONNECTION_PAUSED")
		require.ErrorContains(t, err, "credentials")
	}
	require.Equal(t, asked, b.desk.Count(""), "a paused connection is left alone")

	b.desk.SetAPIKey(key)
	_, err = b.finish(r, one, two)
	require.NoError(t, err)
	require.Len(t, b.desk.Notes(r.TicketID), 1)
	state, err = one.ConnectionState(t.Context(), tenant)
	require.NoError(t, err)
	require.False(t, state.Paused)
	require.Equal(t, 1, b.desk.Count(servicedesk.RequestsList), "one worker probed for all")
}

func TestAPauseEndsAtOnceWhenTheOperatorSaysSo(t *testing.T) {
	t.Parallel()
	b := newBench(t, options(servicedesk.OnPrem))
	b.config.ProbeInterval = time.Hour
	m := b.module()
	r := b.request(b.ticket())
	b.desk.AddFault(servicedesk.Fault{Kind: servicedesk.Unauthorized, Times: 1})
	_, err := m.Post(t.Context(), r)
	require.Error(t, err)
	_, err = m.Post(t.Context(), r)
	requireCode(t, err, fault.Unauthenticated, "CONNECTION_PAUSED")
	require.Greater(t, fault.RetryAfterOf(err), 30*time.Minute)
	require.NoError(t, m.Resume(t.Context(), tenant))
	_, err = m.Post(t.Context(), r)
	require.NoError(t, err)
}

func TestAForbiddenNoteIsTheTicketsTroubleWhenOthersAreWritten(t *testing.T) {
	t.Parallel()
	b := newBench(t, options(servicedesk.OnPrem))
	m := b.module()
	poison, fine := b.request(b.ticket()), b.request(b.ticket())
	b.desk.AddFault(servicedesk.Fault{Kind: servicedesk.Forbidden, Operation: servicedesk.NotesAdd, Ticket: poison.TicketID})
	_, err := m.Post(t.Context(), poison)
	require.Equal(t, fault.Forbidden, fault.KindOf(err))
	require.Positive(t, fault.RetryAfterOf(err), "it might be the key's role: pause and see")
	_, err = b.finish(fine, m)
	require.NoError(t, err)
	poison.Epoch++
	_, err = b.finish(poison, m)
	requireCode(t, err, fault.Forbidden, "DESK_FORBIDDEN")
	require.Zero(t, fault.RetryAfterOf(err), "other tickets get their notes, so waiting would not help")
	state, err := m.ConnectionState(t.Context(), tenant)
	require.NoError(t, err)
	require.False(t, state.Paused)
}

func TestTheBreakerLeavesADeadDeskAlone(t *testing.T) {
	t.Parallel()
	b := newBench(t, options(servicedesk.OnPrem))
	b.config.BreakerFailures, b.config.BreakerPause = 3, time.Minute
	now := &handClock{now: time.Now()}
	m := b.module(func(d *Deps, _ *Config) { d.Clock = now.read })
	id := b.ticket()
	b.desk.AddFault(servicedesk.Fault{Kind: servicedesk.ErrorBeforeApply, Operation: servicedesk.RequestsGet})
	for range 3 {
		_, err := m.GetRequest(t.Context(), tenant, id)
		requireCode(t, err, fault.Unavailable, "DESK_UNAVAILABLE")
	}
	_, err := m.GetRequest(t.Context(), tenant, id)
	requireCode(t, err, fault.Unavailable, "DESK_DOWN")
	require.InDelta(t, time.Minute, fault.RetryAfterOf(err), float64(time.Second))
	require.Equal(t, 3, b.desk.Count(servicedesk.RequestsGet))
	require.Equal(t, map[string]string{tenant: "open"}, m.breakers())
	r := b.request(id)
	_, err = m.Post(t.Context(), r)
	requireCode(t, err, fault.Unavailable, "DESK_DOWN")
	require.Equal(t, "ready", b.row(r).State)

	now.add(61 * time.Second)
	_, err = m.GetRequest(t.Context(), tenant, id)
	requireCode(t, err, fault.Unavailable, "DESK_UNAVAILABLE")
	_, err = m.GetRequest(t.Context(), tenant, id)
	requireCode(t, err, fault.Unavailable, "DESK_DOWN")
	require.Equal(t, 4, b.desk.Count(servicedesk.RequestsGet), "one call tries, and it failed")
	b.desk.ClearFaults()
	now.add(61 * time.Second)
	for range 3 {
		_, err = m.GetRequest(t.Context(), tenant, id)
		require.NoError(t, err)
	}
	require.Equal(t, map[string]string{tenant: "closed"}, m.breakers())
}

// handClock is moved by hand.
type handClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *handClock) read() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *handClock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func TestALimitedConnectionIsLeftAloneForItsTime(t *testing.T) {
	t.Parallel()
	b := newBench(t, options(servicedesk.OnPrem))
	now := &handClock{now: time.Now()}
	m := b.module(func(d *Deps, _ *Config) { d.Clock = now.read })
	id := b.ticket()
	b.desk.AddFault(servicedesk.Fault{Kind: servicedesk.TooManyRequests, RetryAfter: 40 * time.Second, Times: 1})
	_, err := m.GetRequest(t.Context(), tenant, id)
	require.Equal(t, fault.Limited, fault.KindOf(err))
	require.Equal(t, 40*time.Second, fault.RetryAfterOf(err))
	now.add(30 * time.Second)
	_, err = m.Post(t.Context(), b.request(id))
	require.Equal(t, fault.Limited, fault.KindOf(err))
	require.InDelta(t, 10*time.Second, fault.RetryAfterOf(err), float64(time.Second))
	require.Equal(t, 1, b.desk.Count(""))
	now.add(11 * time.Second)
	_, err = m.GetRequest(t.Context(), tenant, id)
	require.NoError(t, err)
}

func TestOurOwnRateLimitHoldsListsToOneASecond(t *testing.T) {
	t.Parallel()
	b := newBench(t, options(servicedesk.OnPrem))
	b.config.ListsPerSecond, b.config.ReadTimeout = 0.01, 5*time.Second
	m := b.module()
	_, err := m.ListRequests(t.Context(), tenant, TicketQuery{})
	require.NoError(t, err)
	_, err = m.ListRequests(t.Context(), tenant, TicketQuery{})
	require.Equal(t, fault.Limited, fault.KindOf(err))
	require.Positive(t, fault.RetryAfterOf(err))
	_, err = m.GetRequest(t.Context(), tenant, b.ticket())
	require.NoError(t, err, "single tickets have a limit of their own")
}
