package webhook

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"aiagents/internal/fault"
)

// retryAfterOutage is what a sender is asked to wait when the database is away.
const retryAfterOutage = 5 * time.Second

// answerTimeout bounds the work on one request, so that a database that went silent means 503 and not a hanging sender.
const answerTimeout = 5 * time.Second

// accepted is the body of a 202.
type accepted struct {
	Status    string `json:"status"`
	JobID     string `json:"job_id"`
	Message   string `json:"message"`
	Duplicate bool   `json:"duplicate,omitempty"`
}

// Mount adds the webhook routes. The static route wins over the tenant's, so no tenant can be called resolved-ticket.
func (m *Module) Mount(g *echo.Group) {
	g.POST("/webhook/servicedesk", m.handle("event", m.handleEvent))
	g.POST("/webhook/servicedesk/:tenant_id", m.handle("event", m.handleEvent))
	g.POST("/webhook/servicedesk/resolved-ticket", m.handle("resolved_ticket", m.handleResolved))
	g.POST("/webhook/servicedesk/:tenant_id/resolved-ticket", m.handle("resolved_ticket", m.handleResolved))
}

// handle wraps an endpoint with its metrics and the limit on the sender's address.
func (m *Module) handle(endpoint string, next func(c echo.Context) (Receipt, string, error)) echo.HandlerFunc {
	return func(c echo.Context) error {
		start := time.Now()
		receipt, message, err := m.limited(c, next)
		m.metrics.duration.WithLabelValues(endpoint).Observe(time.Since(start).Seconds())
		m.metrics.answers.WithLabelValues(endpoint, answerOf(receipt, err)).Inc()
		if err != nil {
			return err
		}
		return c.JSON(http.StatusAccepted, accepted{
			Status: "accepted", JobID: receipt.ID.String(), Message: message, Duplicate: receipt.Duplicate,
		})
	}
}

func (m *Module) limited(c echo.Context, next func(c echo.Context) (Receipt, string, error)) (Receipt, string, error) {
	address := limitedAddress(c.RealIP())
	if wait, ok := m.addresses.allow(address, m.deps.Clock()); !ok {
		return Receipt{}, "", rateLimited("too many requests from this address", wait)
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), answerTimeout)
	defer cancel()
	c.SetRequest(c.Request().WithContext(ctx))
	receipt, message, err := next(c)
	if fault.Is(err, fault.Unauthenticated) {
		m.addresses.charge(address, m.cfg.FailureCost-1, m.deps.Clock())
	}
	return receipt, message, err
}

func rateLimited(message string, wait time.Duration) error {
	return fault.New(fault.Limited, message).WithCode("RATE_LIMITED").WithRetryAfter(wait)
}

func answerOf(r Receipt, err error) string {
	var f *fault.Error
	switch {
	case err == nil && r.Duplicate:
		return "duplicate"
	case err == nil:
		return "accepted"
	case errors.As(err, &f) && f.Code != "":
		return strings.ToLower(f.Code)
	}
	return "internal_error"
}

func (m *Module) handleEvent(c echo.Context) (Receipt, string, error) {
	r, err := m.verified(c)
	if err != nil {
		return Receipt{}, "", err
	}
	d, err := decodeDelivery(r.tenantID, r.credentials.id, r.body)
	if err != nil {
		return Receipt{}, "", err
	}
	receipt, err := m.receive(c.Request().Context(), correlated(c, &d))
	m.taken(c, d, receipt, err)
	return receipt, "Enhancement job queued successfully", err
}

// correlated gives a delivery without a correlation id that of its request, so that one id leads from the sender's log
// through ours to the note.
func correlated(c echo.Context, d *Delivery) Delivery {
	if d.CorrelationID == "" {
		d.CorrelationID = c.Response().Header().Get(echo.HeaderXRequestID)
	}
	return *d
}

// taken counts and logs a delivery that is recorded.
func (m *Module) taken(c echo.Context, d Delivery, r Receipt, err error) {
	if err != nil {
		return // the error handler logs it
	}
	if label, on := m.deps.TenantLabel(d.TenantID); on {
		m.metrics.tenants.WithLabelValues(label).Inc()
	}
	m.deps.Logger.InfoContext(c.Request().Context(), "webhook accepted", "tenant_id", d.TenantID, "ticket_id", d.TicketID,
		"correlation_id", d.CorrelationID, "event", d.Event, "enhancement_id", r.ID.String(), "duplicate", r.Duplicate)
}

func (m *Module) handleResolved(c echo.Context) (Receipt, string, error) {
	r, err := m.verified(c)
	if err != nil {
		return Receipt{}, "", err
	}
	d, t, err := decodeResolved(r.tenantID, r.credentials.id, r.body)
	if err != nil {
		return Receipt{}, "", err
	}
	receipt, err := m.record(c.Request().Context(), correlated(c, &d), t)
	m.taken(c, d, receipt, err)
	return receipt, "Resolved ticket recorded", err
}

// verified reads the body once, proves who sent it, and counts it against the tenant's rate.
func (m *Module) verified(c echo.Context) (request, error) {
	r, err := m.read(c)
	if err != nil {
		return request{}, err
	}
	t, err := m.authenticate(c.Request().Context(), r)
	if err != nil {
		return request{}, err
	}
	r.tenantID = t.ID
	if wait, ok := m.tenants.allow(t.ID, m.deps.Clock()); !ok {
		return request{}, rateLimited("too many webhooks for this tenant", wait)
	}
	return r, nil
}

func (m *Module) read(c echo.Context) (request, error) {
	req := c.Request()
	if req.ContentLength > m.cfg.MaxBodyBytes {
		return request{}, m.tooLarge()
	}
	if !isJSON(req.Header.Get(echo.HeaderContentType)) {
		return request{}, fault.New(fault.Invalid, "the body must be JSON: send Content-Type: application/json").
			WithCode("UNSUPPORTED_MEDIA_TYPE")
	}
	body, err := io.ReadAll(io.LimitReader(req.Body, m.cfg.MaxBodyBytes+1))
	if err != nil {
		return request{}, invalidPayload("the body could not be read to its end", nil)
	}
	if int64(len(body)) > m.cfg.MaxBodyBytes {
		return request{}, m.tooLarge()
	}
	r := request{body: body, credentials: readCredentials(req.Header), tenantID: c.Param("tenant_id")}
	if r.tenantID == "" {
		r.tenantID = claimedTenant(body)
	}
	// RealIP follows the trusted proxies of the configuration; an address that does not parse matches no allowed range.
	r.source, _ = netip.ParseAddr(c.RealIP())
	return r, nil
}

func (m *Module) tooLarge() error {
	return fault.Newf(fault.Invalid, "the body is larger than %d bytes", m.cfg.MaxBodyBytes).WithCode("PAYLOAD_TOO_LARGE")
}

// isJSON accepts application/json and +json types. A missing type passes: the form of ServiceDesk Plus may send none, and the
// body is decoded strictly anyway.
func isJSON(contentType string) bool {
	if contentType == "" {
		return true
	}
	mediaType, _, err := mime.ParseMediaType(contentType)
	return err == nil && (mediaType == "application/json" || strings.HasSuffix(mediaType, "+json"))
}
