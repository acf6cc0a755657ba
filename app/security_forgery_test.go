package app

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"aiagents/modules/webhook"
)

// noDatabase fails a test in which a delivery gets past verification.
type noDatabase struct{ reached atomic.Int64 }

func (n *noDatabase) InTenantTx(context.Context, string, func(context.Context, pgx.Tx) error) error {
	n.reached.Add(1)
	return nil
}

// oneTenant knows acme only, without a database.
type oneTenant struct{ secrets []string }

func (o oneTenant) Find(_ context.Context, id string) (webhook.Tenant, error) {
	return webhook.Tenant{ID: "acme", Active: id == "acme", Secrets: o.secrets, Kinds: []string{"hmac", "token", "standard"}}, nil
}

func (o oneTenant) FindFresh(ctx context.Context, id string) (webhook.Tenant, error) {
	return o.Find(ctx, id)
}

func TestTenThousandForgedSignaturesAreRefused(t *testing.T) {
	t.Parallel()
	h := newHarness(t, withRole("serve"))
	s := h.p.system
	reached := &noDatabase{}
	const key, old = "the-secret-of-acme", "the-secret-before"
	cfg := webhook.DefaultConfig()
	cfg.AddressBurst, cfg.AddressPerSecond = 1_000_000, 1_000_000
	m, err := webhook.New(webhook.Deps{
		DB: reached, Tenants: oneTenant{[]string{key, old}}, Enhancements: receiver{s.enhancements}, Resolutions: resolved{s.tickets},
		Logger: slog.New(slog.DiscardHandler), Clock: time.Now, TraceMetadata: traceMetadata, TenantLabel: newTenantLabels(TelemetryConfig{}).label,
	}, cfg)
	require.NoError(t, err)
	e := newEcho(h.cfg, slog.New(slog.DiscardHandler))
	m.Mount(e.Group(""))
	acme := &testTenant{h: h, id: "acme"}
	body := acme.body("1", "description", "disk full")
	send := func(body []byte, signature string) int {
		req := httptest.NewRequest(http.MethodPost, webhookPath, bytes.NewReader(body))
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("X-ServiceDesk-Signature", signature)
		rec := httptest.NewRecorder()
		e.ServeHTTP(rec, req)
		return rec.Code
	}
	// A good one comes as far as the database, which is none here.
	require.Equal(t, http.StatusInternalServerError, send(body, hexMAC(key, body)))
	require.Equal(t, http.StatusInternalServerError, send(body, hexMAC(old, body)))
	require.Positive(t, reached.reached.Swap(0))
	good, err := hex.DecodeString(hexMAC(key, body))
	require.NoError(t, err)
	random := rand.New(rand.NewPCG(4, 2026))
	for n := range 10_000 {
		mac, forged, text := slices.Clone(good), slices.Clone(body), ""
		switch n % 6 {
		case 0: // a bit of the signature
			mac[random.IntN(len(mac))] ^= 1 << random.IntN(8)
		case 1: // a bit of the body
			forged[random.IntN(len(forged))] ^= 1 << random.IntN(8)
		case 2: // a part of the signature
			mac = mac[:random.IntN(len(mac))]
		case 3: // more than the signature
			mac = append(mac, byte(random.IntN(256)))
		case 4: // another key
			text = hexMAC(fmt.Sprintf("%s%d", key, n), body)
		case 5: // the digest of something else
			text = hexMAC(key, append(forged, byte(n), byte(n>>8)))
		}
		if text == "" {
			text = [...]string{hex.EncodeToString(mac), "sha256=" + strings.ToUpper(hex.EncodeToString(mac)), base64.StdEncoding.EncodeToString(mac)}[n%3]
		}
		if code := send(forged, text); code != http.StatusUnauthorized {
			t.Fatalf("forgery %d (%s) was answered with %d", n, text, code)
		}
	}
	require.Zero(t, reached.reached.Load())
}
