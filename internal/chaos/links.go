package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"aiagents/internal/harness"
)

// link is one network path that can be cut, silenced and pointed elsewhere. Its own address never changes.
type link struct{ proxy *toxiproxy.Proxy }

// newLink listens on a free loopback port and forwards to upstream.
func newLink(name, upstream string) (*link, error) {
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(prometheus.NewRegistry()), zerolog.Nop())
	p := toxiproxy.NewProxy(server, name, "127.0.0.1:0", upstream)
	if err := p.Start(); err != nil {
		return nil, fmt.Errorf("start link %s: %w", name, err)
	}
	return &link{p}, nil
}

func (l *link) addr() string { return l.proxy.Listen }

// point sends new connections to another server.
func (l *link) point(upstream string) error {
	if err := l.proxy.Update(&toxiproxy.Proxy{Listen: l.proxy.Listen, Upstream: upstream, Enabled: true}); err != nil {
		return fmt.Errorf("point link %s: %w", l.proxy.Name, err)
	}
	return nil
}

// cut closes every connection, whatever is under way on it. New ones are taken at once.
func (l *link) cut() error {
	l.proxy.Stop()
	if err := l.proxy.Start(); err != nil {
		return fmt.Errorf("start link %s again: %w", l.proxy.Name, err)
	}
	return nil
}

// reset answers everything that is sent within d with a TCP reset.
func (l *link) reset(ctx context.Context, d time.Duration) error {
	return l.poison(ctx, "reset_peer", d)
}

// silence drops everything that is sent within d: connections stay open and nothing arrives.
func (l *link) silence(ctx context.Context, d time.Duration) error {
	return l.poison(ctx, "timeout", d)
}

func (l *link) poison(ctx context.Context, kind string, d time.Duration) error {
	for _, stream := range []string{"upstream", "downstream"} {
		toxic := fmt.Sprintf(`{"name":%q,"type":%q,"stream":%q,"attributes":{"timeout":0}}`, stream, kind, stream)
		if _, err := l.proxy.Toxics.AddToxicJson(strings.NewReader(toxic)); err != nil {
			return fmt.Errorf("poison link %s: %w", l.proxy.Name, err)
		}
	}
	harness.Pause(ctx, d)
	for _, stream := range []string{"upstream", "downstream"} {
		if err := l.proxy.Toxics.RemoveToxic(context.WithoutCancel(ctx), stream); err != nil {
			return fmt.Errorf("heal link %s: %w", l.proxy.Name, err)
		}
	}
	return nil
}

func (l *link) close() { l.proxy.Stop() }
