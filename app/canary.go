package app

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"

	"aiagents/app/housekeeping"
	"aiagents/internal/egress"
	"aiagents/internal/fault"
	"aiagents/modules/notifier"
	"aiagents/modules/tenant"
	"aiagents/modules/webhook"
)

const (
	canaryTask  = "canary"
	canaryEvery = time.Minute
	// canaryPatience is how long a note may take before the canary counts as dead; the promise is 60 s.
	canaryPatience = 50 * time.Second
	canaryLook     = 100 * time.Millisecond
	// canaryHistory is how long its own runs are kept.
	canaryHistory = time.Hour
)

// canary proves once a minute that the whole system works: a signed webhook is verified, recorded and queued, a worker gathers
// and renders, and the note is posted and recorded. All of that is the real code. It differs from a customer's ticket in three
// ways: no model is asked, the desk is a receiver on this machine, and nothing of it is in the customers' numbers, since the
// modules at both ends are instances of its own whose metrics nobody reads.
type canary struct {
	system   *system
	notes    *notifier.Module
	webhooks *echo.Echo
	receiver *noteReceiver
	patience time.Duration
}

// newCanary makes the end at which notes are posted.
func newCanary(s *system, cfg Config, logger *slog.Logger) (*canary, error) {
	c := &canary{system: s, receiver: &noteReceiver{token: rand.Text(), logger: logger}, patience: canaryPatience}
	// The tenants' guard refuses loopback outside development, and must. This one is for the receiver alone.
	guard, err := egress.New(egress.Policy{AllowLoopback: true, AllowHTTP: true})
	if err != nil {
		return nil, fmt.Errorf("egress of the canary: %w", err)
	}
	c.notes, err = notifier.New(notifier.Deps{
		DB: s.db, Connections: c.receiver, Sealer: s.tenants, Egress: guard, Logger: logger.With("module", "canary"), Clock: time.Now,
	}, cfg.Notifier)
	return c, err
}

// listen makes the end at which webhooks arrive. It is called in the process, so that every role can sing.
func (c *canary) listen(deps webhook.Deps, cfg Config, logger *slog.Logger) error {
	m, err := webhook.New(deps, cfg.Webhook)
	if err != nil {
		return err
	}
	c.webhooks = newEcho(cfg, logger)
	m.Mount(c.webhooks.Group(""))
	return nil
}

func (c *canary) close() {
	c.notes.Close()
	c.receiver.close()
}

// sing sends one webhook and waits for its note.
func (c *canary) sing(ctx context.Context) (housekeeping.Rows, error) {
	t, err := c.system.tenants.EnsureCanary(ctx)
	if err != nil {
		return nil, fmt.Errorf("make the synthetic tenant: %w", err)
	}
	id, err := c.send(ctx, t)
	if err != nil {
		return nil, err
	}
	if err := c.await(ctx, id); err != nil {
		return nil, err
	}
	if _, err := c.system.enhancements.Forget(ctx, tenant.Canary, canaryHistory); err != nil {
		return nil, fmt.Errorf("forget old canaries: %w", err)
	}
	return housekeeping.Rows{"": 1}, nil
}

func (c *canary) send(ctx context.Context, t tenant.Tenant) (uuid.UUID, error) {
	now := time.Now()
	ticket := "canary-" + strconv.FormatInt(now.UnixNano(), 10)
	body, err := json.Marshal(map[string]string{
		"event": "ticket_created", "tenant_id": t.ID, "ticket_id": ticket, "correlation_id": ticket, "created_at": now.Format(time.RFC3339),
		"subject": "Synthetic ticket", "description": "This ticket proves that the system works. It belongs to no customer.",
	})
	if err != nil {
		return uuid.Nil, fmt.Errorf("encode webhook: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "/webhook/servicedesk", bytes.NewReader(body))
	if err != nil {
		return uuid.Nil, fmt.Errorf("make webhook: %w", err)
	}
	req.RemoteAddr = "127.0.0.1:0"
	signWebhook(req, t, ticket, now, body)
	answer := reply{header: http.Header{}}
	c.webhooks.ServeHTTP(&answer, req)
	var accepted struct {
		JobID uuid.UUID `json:"job_id"`
	}
	if answer.status != http.StatusAccepted || json.Unmarshal(answer.body.Bytes(), &accepted) != nil {
		return uuid.Nil, fault.Newf(fault.Unavailable, "the webhook was answered with %d", answer.status)
	}
	return accepted.JobID, nil
}

// await looks at the run until it has ended.
func (c *canary) await(ctx context.Context, id uuid.UUID) error {
	patience, cancel := context.WithTimeout(ctx, c.patience)
	defer cancel()
	ticker := time.NewTicker(canaryLook)
	defer ticker.Stop()
	stage := "received"
	for {
		run, err := c.system.enhancements.Show(patience, tenant.Canary, id)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case patience.Err() != nil:
			return fault.Newf(fault.Unavailable, "no note within %s: the run is at the stage %q", c.patience, stage)
		case err != nil:
			return fmt.Errorf("look at the run: %w", err)
		case run.Status == "completed" && run.NoteID != "":
			return nil
		case run.Status != "pending":
			reason := run.Reason
			if run.ErrorMessage != nil {
				reason = *run.ErrorMessage
			}
			return fault.Newf(fault.Unavailable, "the run ended as %s without a note: %s", run.Status, reason)
		}
		stage = run.Stage
		select {
		case <-patience.Done():
		case <-ticker.C:
		}
	}
}

var (
	canarySuccess = prometheus.NewDesc("aiagents_canary_last_success_timestamp_seconds",
		"Unix time at which a synthetic ticket last got its note. Absent until one did, and while the canary is switched off.", nil, nil)
	canaryDuration = prometheus.NewDesc("aiagents_canary_duration_seconds",
		"Time from webhook to note of the last synthetic ticket that got one.", nil, nil)
)

// Describe implements prometheus.Collector.
func (c *canary) Describe(ch chan<- *prometheus.Desc) {
	ch <- canarySuccess
	ch <- canaryDuration
}

// Collect implements prometheus.Collector.
func (c *canary) Collect(ch chan<- prometheus.Metric) {
	list, err := c.system.housekeeping.Recent()
	if err != nil {
		return
	}
	for _, s := range list {
		if s.Task != canaryTask || s.EverySeconds == 0 || s.LastSuccessAt == nil {
			continue
		}
		ch <- prometheus.MustNewConstMetric(canarySuccess, prometheus.GaugeValue, float64(s.LastSuccessAt.UnixMilli())/1000)
		if s.LastResult == housekeeping.ResultOK {
			ch <- prometheus.MustNewConstMetric(canaryDuration, prometheus.GaugeValue, s.LastSeconds)
		}
	}
}

// noteReceiver is the canary's desk: a bridge as edition generic expects one, on a loopback port of this process, opened when
// the first note is posted. It keeps the last notes only, for the look that follows a request without an answer.
type noteReceiver struct {
	token  string
	logger *slog.Logger

	mu     sync.Mutex
	server *server
	count  int
	notes  []receivedNote
}

type receivedNote struct {
	ID      string `json:"id"`
	Content string `json:"content"`
	ticket  string
}

const keptNotes = 20

// Connection implements notifier.Connections.
func (r *noteReceiver) Connection(ctx context.Context, tenantID string) (notifier.Connection, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.server == nil {
		e := echo.New()
		e.HideBanner, e.HidePort = true, true
		e.Use(r.authenticate)
		e.POST("/api/tickets/:id/notes", r.add)
		e.GET("/api/tickets/:id/notes", r.list)
		srv, err := listen(context.WithoutCancel(ctx), canaryTask, "127.0.0.1:0", 0, e, r.logger)
		if err != nil {
			return notifier.Connection{}, err
		}
		r.server = srv
		go func() {
			if err := srv.serve(); err != nil && !errors.Is(err, net.ErrClosed) {
				r.logger.Error("the canary's receiver ended", "error", err)
			}
		}()
	}
	return notifier.Connection{
		TenantID: tenantID, Edition: notifier.EditionGeneric, BaseURL: "http://" + r.server.addr(), APIKey: r.token,
	}, nil
}

func (r *noteReceiver) authenticate(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if c.Request().Header.Get("Authorization") != "Bearer "+r.token {
			return c.JSON(http.StatusUnauthorized, struct{}{})
		}
		return next(c)
	}
}

func (r *noteReceiver) add(c echo.Context) error {
	var n receivedNote
	if err := json.NewDecoder(c.Request().Body).Decode(&n); err != nil || n.Content == "" {
		return c.JSON(http.StatusBadRequest, struct{}{})
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.count++
	n.ID, n.ticket = strconv.Itoa(r.count), c.Param("id")
	r.notes = append(r.notes, n)
	r.notes = r.notes[max(0, len(r.notes)-keptNotes):]
	return c.JSON(http.StatusCreated, n)
}

func (r *noteReceiver) list(c echo.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	found := []receivedNote{}
	for _, n := range r.notes {
		if n.ticket == c.Param("id") {
			found = append(found, n)
		}
	}
	return c.JSON(http.StatusOK, map[string]any{"notes": found})
}

func (r *noteReceiver) close() {
	r.mu.Lock()
	srv := r.server
	r.mu.Unlock()
	if srv == nil {
		return
	}
	stopping, cancel := context.WithTimeout(context.Background(), httpStopTimeout)
	defer cancel()
	srv.shutdown(stopping)
}

// reply keeps the answer of a handler that is called in the process.
type reply struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (r *reply) Header() http.Header { return r.header }

// WriteHeader implements http.ResponseWriter.
func (r *reply) WriteHeader(status int) { r.status = status }

// Write implements http.ResponseWriter.
func (r *reply) Write(p []byte) (int, error) { return r.body.Write(p) }
