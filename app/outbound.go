package app

import (
	"crypto/x509"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// certificateMemory is how long a host counts after its last answer: tenants move, and their old desks expire unseen.
const certificateMemory = 24 * time.Hour

var certificateExpiry = prometheus.NewDesc("aiagents_certificate_expiry_timestamp_seconds",
	"When the first certificate in use by a kind of server expires, of those that answered this process in the last day.", []string{"peer"}, nil)

// outbound stands around every HTTP client of the program. Each request becomes a span; its trace is handed on to the hosts
// that the operator names and to nobody else, since a trace id tells strangers which requests belong together. It also
// remembers when the certificates that it met expire.
//
// Spans carry the host and never the path or the query: those may quote a ticket.
type outbound struct {
	tracer trace.Tracer
	hosts  map[string]bool
	now    func() time.Time

	mu           sync.Mutex
	certificates map[string]map[string]seenCertificate // by peer and host
}

type seenCertificate struct{ expires, seen time.Time }

func newOutbound(tracer trace.Tracer, hosts []string, now func() time.Time) *outbound {
	o := &outbound{tracer: tracer, hosts: map[string]bool{}, now: now, certificates: map[string]map[string]seenCertificate{}}
	for _, h := range hosts {
		o.hosts[strings.ToLower(h)] = true
	}
	return o
}

// transport wraps the transport of one kind of server: desk, model, documentation, monitoring.
func (o *outbound) transport(peer string, next http.RoundTripper) http.RoundTripper {
	return &outboundTransport{outbound: o, peer: peer, next: next}
}

type outboundTransport struct {
	*outbound
	peer string
	next http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (t *outboundTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	host := strings.ToLower(req.URL.Hostname())
	ctx, span := t.tracer.Start(req.Context(), req.Method+" "+t.peer, trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(attribute.String("http.request.method", req.Method), attribute.String("server.address", host)))
	defer span.End()
	req = req.Clone(ctx)
	if t.hosts[host] {
		propagator.Inject(ctx, propagation.HeaderCarrier(req.Header))
	}
	resp, err := t.next.RoundTrip(req)
	if err != nil {
		// The error may quote the address with its query.
		span.SetStatus(codes.Error, "no answer")
		return nil, err
	}
	span.SetAttributes(attribute.Int("http.response.status_code", resp.StatusCode))
	if resp.StatusCode >= http.StatusBadRequest {
		span.SetStatus(codes.Error, http.StatusText(resp.StatusCode))
	}
	if resp.TLS != nil {
		t.met(t.peer, host, resp.TLS.VerifiedChains)
	}
	return resp, nil
}

// CloseIdleConnections makes http.Client.CloseIdleConnections work.
func (t *outboundTransport) CloseIdleConnections() {
	if c, ok := t.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// met remembers the chain that lasts longest: each chain is as good as its first certificate to expire, and one chain is enough.
func (o *outbound) met(peer, host string, chains [][]*x509.Certificate) {
	var expires time.Time
	for _, chain := range chains {
		first := chain[0].NotAfter
		for _, c := range chain {
			if c.NotAfter.Before(first) {
				first = c.NotAfter
			}
		}
		if first.After(expires) {
			expires = first
		}
	}
	if expires.IsZero() {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.certificates[peer] == nil {
		o.certificates[peer] = map[string]seenCertificate{}
	}
	o.certificates[peer][host] = seenCertificate{expires: expires, seen: o.now()}
}

// Describe implements prometheus.Collector.
func (o *outbound) Describe(ch chan<- *prometheus.Desc) { ch <- certificateExpiry }

// Collect implements prometheus.Collector.
func (o *outbound) Collect(ch chan<- prometheus.Metric) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for peer, hosts := range o.certificates {
		var first time.Time
		for host, c := range hosts {
			switch {
			case o.now().Sub(c.seen) > certificateMemory:
				delete(hosts, host)
			case first.IsZero() || c.expires.Before(first):
				first = c.expires
			}
		}
		if !first.IsZero() {
			ch <- prometheus.MustNewConstMetric(certificateExpiry, prometheus.GaugeValue, float64(first.Unix()), peer)
		}
	}
}
