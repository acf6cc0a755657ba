package egress

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

// Limits of every client; Options may set narrower ones.
const (
	defaultTimeout      = 30 * time.Second
	defaultMaxResponse  = 4 << 20
	dialTimeout         = 5 * time.Second
	tlsTimeout          = 5 * time.Second
	maxResponseHeader   = 64 << 10
	idleConnTimeout     = 30 * time.Second
	maxIdleConnsPerHost = 32
)

// ErrTooLarge is returned while reading an answer that is longer than its cap.
var ErrTooLarge = errors.New("the answer is larger than allowed")

// Guard makes clients that obey one policy. It is safe for concurrent use.
type Guard struct {
	policy Policy
	roots  *x509.CertPool
}

// New returns a guard, or an error when the CA bundle cannot be used.
func New(policy Policy) (*Guard, error) {
	g := &Guard{policy: policy}
	if policy.CAFile == "" {
		return g, nil // nil roots are the system's
	}
	pem, err := os.ReadFile(policy.CAFile)
	if err != nil {
		return nil, fmt.Errorf("read CA bundle: %w", err)
	}
	if g.roots, err = x509.SystemCertPool(); err != nil {
		return nil, fmt.Errorf("read system CA certificates: %w", err)
	}
	if !g.roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read CA bundle: %s holds no PEM certificate", policy.CAFile)
	}
	return g, nil
}

// Options shapes one client.
type Options struct {
	// Peer is what kind of server the client talks to, such as desk, for Policy.Wrap.
	Peer string
	// Timeout bounds a whole call, from dialling to the last byte of the answer; default 30 s.
	Timeout time.Duration
	// MaxResponse caps an answer's body in bytes; default 4 MiB. Reading beyond it fails with ErrTooLarge.
	MaxResponse int64
	// SingleUse is for calls that must not happen twice: HTTP/1.1 on a connection of their own, which Go never replays.
	// On a reused connection net/http may repeat a request by itself when the answer is lost.
	SingleUse bool
}

func (o Options) complete() Options {
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	if o.MaxResponse <= 0 {
		o.MaxResponse = defaultMaxResponse
	}
	return o
}

// Client returns an HTTP client that hands redirects to its caller instead of following them: a 3xx answer is a result.
func (g *Guard) Client(o Options) *http.Client {
	o = o.complete()
	return &http.Client{
		Transport: g.Transport(o),
		Timeout:   o.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
	}
}

// Transport returns the guarded transport by itself, for libraries that bring their own client. It never follows
// redirects, but a client around it might: set CheckRedirect there. Of Options.Timeout it bounds the wait for the answer's
// header only.
func (g *Guard) Transport(o Options) http.RoundTripper {
	o = o.complete()
	dialer := &net.Dialer{
		Timeout:   dialTimeout,
		KeepAlive: 15 * time.Second,
		Control:   g.policy.control,
	}
	t := &http.Transport{
		Proxy:                  nil, // with a proxy only the proxy's address would be judged
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: g.roots},
		TLSHandshakeTimeout:    tlsTimeout,
		ResponseHeaderTimeout:  o.Timeout,
		MaxResponseHeaderBytes: maxResponseHeader,
		IdleConnTimeout:        idleConnTimeout,
		MaxIdleConnsPerHost:    maxIdleConnsPerHost,
		DisableKeepAlives:      o.SingleUse,
		Protocols:              new(http.Protocols),
	}
	t.Protocols.SetHTTP1(true)
	t.Protocols.SetHTTP2(!o.SingleUse)
	guarded := &transport{guard: g, base: t, max: o.MaxResponse, singleUse: o.SingleUse}
	if g.policy.Wrap == nil {
		return guarded
	}
	return g.policy.Wrap(o.Peer, guarded)
}

// transport judges each request's URL and caps its answer; the dialer beneath judges the address.
type transport struct {
	guard     *Guard
	base      *http.Transport
	max       int64
	singleUse bool
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := t.guard.checkParts(req.URL); err != nil {
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return nil, errors.Join(err, ErrRefused)
	}
	if t.singleUse {
		// Without GetBody the body cannot be sent again, whatever a header says about idempotency.
		clone := *req
		clone.GetBody = nil
		req = &clone
	}
	resp, err := t.base.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if resp.ContentLength > t.max {
		_ = resp.Body.Close()
		return nil, ErrTooLarge
	}
	resp.Body = &capped{ReadCloser: resp.Body, left: t.max}
	return resp, nil
}

// CloseIdleConnections makes http.Client.CloseIdleConnections work.
func (t *transport) CloseIdleConnections() { t.base.CloseIdleConnections() }

// capped fails instead of ending early, so that a cut answer is never taken for a whole one.
type capped struct {
	io.ReadCloser
	left int64
}

func (c *capped) Read(p []byte) (int, error) {
	if c.left < 0 {
		return 0, ErrTooLarge
	}
	if int64(len(p)) > c.left+1 {
		p = p[:c.left+1]
	}
	n, err := c.ReadCloser.Read(p)
	c.left -= int64(n)
	if c.left < 0 {
		return n - 1, ErrTooLarge
	}
	return n, err
}
