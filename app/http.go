package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/net/netutil"

	"aiagents/app/adminapi"
	"aiagents/internal/fault"
)

// The time limits of every connection: Go's defaults are none at all, and slow senders would hold the server.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 10 * time.Second
	writeTimeout      = 30 * time.Second
	idleTimeout       = 60 * time.Second
	maxHeaderBytes    = 16 << 10
)

const headerRequestID = "X-Request-Id"

// errorBody is the one shape of an error.
type errorBody struct {
	Status string      `json:"status"`
	Error  errorDetail `json:"error"`
}

type errorDetail struct {
	Code    string            `json:"code"`
	Message string            `json:"message"`
	Details map[string]string `json:"details,omitempty"`
}

// newEcho returns a router with the one error handler, and with addresses taken from trusted proxies only.
func newEcho(cfg Config, logger *slog.Logger) *echo.Echo {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.HTTPErrorHandler = errorHandler(logger)
	e.IPExtractor = ipExtractor(cfg)
	e.Use(nameSpan, requestID, recoverPanic)
	return e
}

// ipExtractor believes X-Forwarded-For only as far as it was written by a trusted proxy.
func ipExtractor(cfg Config) echo.IPExtractor {
	if len(cfg.HTTP.TrustedProxies) == 0 {
		return echo.ExtractIPDirect()
	}
	options := []echo.TrustOption{echo.TrustLoopback(false), echo.TrustLinkLocal(false), echo.TrustPrivateNet(false)}
	for _, cidr := range cfg.HTTP.TrustedProxies {
		if _, network, err := net.ParseCIDR(cidr); err == nil {
			options = append(options, echo.TrustIPRange(network))
		}
	}
	return echo.ExtractIPFromXFFHeader(options...)
}

// nameSpan calls the request's span by its route, which is known only here; an address as it was asked for may hold anything.
func nameSpan(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if path := c.Path(); path != "" {
			trace.SpanFromContext(c.Request().Context()).SetName(c.Request().Method + " " + path)
		}
		return next(c)
	}
}

// requestID gives every answer an id; a sender's own is kept when it is short and plain.
func requestID(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		id := c.Request().Header.Get(headerRequestID)
		if !plainID(id) {
			id = uuid.NewString()
		}
		c.Response().Header().Set(headerRequestID, id)
		ctx := withLogIDs(c.Request().Context(), logIDs{request: id})
		c.SetRequest(c.Request().WithContext(ctx))
		return next(c)
	}
}

func plainID(id string) bool {
	if id == "" || len(id) > 100 {
		return false
	}
	for _, r := range id {
		if r <= ' ' || r > '~' {
			return false
		}
	}
	return true
}

func recoverPanic(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		defer func() {
			if r := recover(); r != nil {
				if r == http.ErrAbortHandler { //nolint:errorlint // net/http panics with this very value
					panic(r)
				}
				// The value of a panic may quote a request, so only its type is kept.
				err = fmt.Errorf("panic of type %T", r)
			}
		}()
		return next(c)
	}
}

// codeOf is the code of a fault that carries none of its own.
func codeOf(kind fault.Kind) string {
	//exhaustive:enforce
	switch kind {
	case fault.Invalid:
		return "INVALID_REQUEST"
	case fault.Unauthenticated:
		return "UNAUTHENTICATED"
	case fault.Forbidden:
		return "FORBIDDEN"
	case fault.NotFound:
		return "NOT_FOUND"
	case fault.Conflict:
		return "CONFLICT"
	case fault.Limited:
		return "RATE_LIMITED"
	case fault.Unavailable:
		return "UNAVAILABLE"
	case fault.Internal:
	}
	return "INTERNAL_ERROR"
}

// statusOfCode are the codes whose status differs from their kind's.
var statusOfCode = map[string]int{
	"PAYLOAD_TOO_LARGE":      http.StatusRequestEntityTooLarge,
	"UNSUPPORTED_MEDIA_TYPE": http.StatusUnsupportedMediaType,
	"METHOD_NOT_ALLOWED":     http.StatusMethodNotAllowed,
	"PRECONDITION_FAILED":    http.StatusPreconditionFailed,
	"PRECONDITION_REQUIRED":  http.StatusPreconditionRequired,
}

// errorHandler turns any error into an answer.
func errorHandler(logger *slog.Logger) echo.HTTPErrorHandler {
	return func(err error, c echo.Context) {
		if c.Response().Committed {
			return
		}
		r := refuse(logger, c, err)
		if r.RetryAfter > 0 {
			c.Response().Header().Set(echo.HeaderRetryAfter, strconv.Itoa(int(math.Ceil(r.RetryAfter.Seconds()))))
		}
		body := errorBody{Status: "error", Error: errorDetail{Code: r.Code, Message: r.Message, Details: r.Details}}
		if err := c.JSON(r.Status, body); err != nil {
			logger.WarnContext(c.Request().Context(), "answer could not be sent", "error", err)
		}
	}
}

// refuse says how an error is answered, and logs it once: callers' faults quietly, ours with their cause.
func refuse(logger *slog.Logger, c echo.Context, err error) adminapi.RefusalError {
	f := asFault(err)
	r := adminapi.RefusalError{Message: f.Message, Details: f.Details, RetryAfter: f.RetryAfter}
	r.Status, r.Code = f.Kind.HTTPStatus(), codeOf(f.Kind)
	if f.Code != "" {
		r.Code = f.Code
	}
	if s, ok := statusOfCode[r.Code]; ok {
		r.Status = s
	}
	level := slog.LevelInfo
	if r.Status >= http.StatusInternalServerError {
		level = slog.LevelError
	}
	logger.LogAttrs(c.Request().Context(), level, "request refused",
		slog.String("method", c.Request().Method), slog.String("route", c.Path()), slog.Int("status", r.Status),
		slog.String("code", r.Code), slog.Any("error", err))
	if f.Kind == fault.Internal {
		r.Message = "something went wrong on our side; the log has the cause under this request id"
	}
	return r
}

// asFault classifies echo's own errors; everything unknown is internal.
func asFault(err error) *fault.Error {
	var f *fault.Error
	if errors.As(err, &f) {
		return f
	}
	var he *echo.HTTPError
	if errors.As(err, &he) {
		switch he.Code {
		case http.StatusNotFound:
			return fault.New(fault.NotFound, "there is nothing at this address")
		case http.StatusMethodNotAllowed:
			return fault.New(fault.Invalid, "this address does not take this method").WithCode("METHOD_NOT_ALLOWED")
		}
	}
	return fault.Wrap(fault.Internal, err, "internal error")
}

// server is one listening HTTP server.
type server struct {
	name     string
	listener net.Listener
	http     *http.Server
}

// listen binds addr at once, so that a taken port is an error of the start and not of a goroutine.
func listen(ctx context.Context, name, addr string, maxConnections int, handler http.Handler, logger *slog.Logger) (*server, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, fmt.Sprintf("cannot listen on %s for %s: set another address with AI_AGENTS_HTTP_ADDR or AI_AGENTS_OPS_ADDR", addr, name))
	}
	if maxConnections > 0 {
		listener = netutil.LimitListener(listener, maxConnections)
	}
	return &server{name: name, listener: listener, http: &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}}, nil
}

// addr is where the server really listens, which differs from its configuration for port 0.
func (s *server) addr() string { return s.listener.Addr().String() }

// serve runs until shutdown.
func (s *server) serve() error {
	if err := s.http.Serve(s.listener); err != nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve %s: %w", s.name, err)
	}
	return nil
}

// shutdown lets running requests end within the context's time, then closes what is left.
func (s *server) shutdown(ctx context.Context) {
	if err := s.http.Shutdown(ctx); err != nil {
		_ = s.http.Close() // nothing is left to be saved
	}
}

// traced continues an inbound trace, or begins one, for every request.
func traced(h http.Handler, tracer trace.TracerProvider) http.Handler {
	return otelhttp.NewHandler(h, "http", otelhttp.WithTracerProvider(tracer), otelhttp.WithPropagators(propagator),
		otelhttp.WithSpanNameFormatter(func(_ string, r *http.Request) string { return r.Method }))
}
