package app

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"

	"aiagents/db"
	"aiagents/internal/fault"
)

// readyTimeout bounds a readiness check, so that a silent database makes it fail and not hang.
const readyTimeout = 5 * time.Second

// health answers whether the process lives, and whether it can do its work.
type health struct {
	db       *db.DB
	version  string
	draining atomic.Bool
	// queue reports whether River runs, for roles that work jobs.
	queue func() error
}

func (h *health) mount(e *echo.Echo) {
	e.GET("/health", h.live)
	e.GET("/health/ready", h.ready)
}

// live never touches a dependency: restarting the process would not bring one back.
func (h *health) live(c echo.Context) error {
	return c.JSON(http.StatusOK, map[string]string{
		"status": "healthy", "timestamp": time.Now().UTC().Format(time.RFC3339), "version": h.version,
	})
}

type readiness struct {
	Status       string            `json:"status"`
	Dependencies map[string]string `json:"dependencies"`
	Reason       string            `json:"reason,omitempty"`
}

func (h *health) ready(c echo.Context) error {
	ctx, cancel := context.WithTimeout(c.Request().Context(), readyTimeout)
	defer cancel()
	r := h.check(ctx)
	status := http.StatusOK
	if r.Status != "ready" {
		status = http.StatusServiceUnavailable
	}
	return c.JSON(status, r)
}

// check asks everything that taking work depends on. A draining process is not ready, whatever else is well.
func (h *health) check(ctx context.Context) readiness {
	r := readiness{Status: "ready", Dependencies: map[string]string{"database": "connected", "queue": "connected"}}
	fail := func(dependency, state, reason string) {
		r.Status = "not_ready"
		r.Dependencies[dependency] = state
		if r.Reason == "" {
			r.Reason = reason
		}
	}
	if h.draining.Load() {
		r.Status, r.Reason = "not_ready", "the process is stopping"
		return r
	}
	schema, err := h.db.SchemaStatus(ctx)
	if err != nil {
		fail("database", "disconnected", "the database cannot be reached")
		fail("queue", "disconnected", "")
		return r
	}
	if schema.Behind() {
		fail("database", "outdated", "the schema is older than this program: run `aiagents migrate up`")
	}
	if err := h.db.CheckPolicies(ctx); err != nil {
		fail("database", "insecure", publicMessage(err))
	}
	if h.queue != nil {
		if err := h.queue(); err != nil {
			fail("queue", "disconnected", publicMessage(err))
		}
	}
	return r
}

// publicMessage is the part of an error that may be shown.
func publicMessage(err error) string { return asFault(err).Message }

var errQueueStopped = fault.New(fault.Unavailable, "the job queue is not running")
