package console

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"
	"github.com/riverqueue/river"
	"riverqueue.com/riverui"

	"aiagents/app/adminauth"
)

// riverPolicy is the policy of River's interface: its scripts are files, but its components write style elements and
// attributes. Everything else is as strict as our own pages.
const riverPolicy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; " +
	"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// riverUI is River's own interface to the queue. Our jobs carry ids only, so it shows no text of tickets.
type riverUI struct {
	handler *riverui.Handler
	logger  *slog.Logger

	begin sync.Once
	// ctx lives as long as the console: the counts that the interface keeps outlive the request that asked first.
	ctx context.Context //nolint:containedctx // see above
	end context.CancelFunc
}

func newRiverUI(client *river.Client[pgx.Tx], logger *slog.Logger) (*riverUI, error) {
	handler, err := riverui.NewHandler(&riverui.HandlerOpts{
		Endpoints: riverui.NewEndpoints(client, nil), Logger: logger, Prefix: base + "/river",
	})
	if err != nil {
		return nil, fmt.Errorf("prepare River's interface: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &riverUI{handler: handler, logger: logger, ctx: ctx, end: cancel}, nil
}

// serve starts the interface's counting with its first visitor: a process that nobody looks at asks the database nothing.
func (r *riverUI) serve(c echo.Context) error {
	r.begin.Do(func() {
		if err := r.handler.Start(r.ctx); err != nil {
			r.logger.WarnContext(r.ctx, "River's interface cannot count in the background", "error", err)
		}
	})
	adminauth.Headers(c, riverPolicy)
	// Its files have digests in their names.
	if c.Request().Method == http.MethodGet && c.Param("*") != "" && len(c.Param("*")) > 7 && c.Param("*")[:7] == "assets/" {
		c.Response().Header().Set("Cache-Control", "private, max-age=86400")
	}
	r.handler.ServeHTTP(c.Response(), c.Request())
	return nil
}

func (r *riverUI) close() { r.end() }
