package webhook

import (
	"encoding/hex"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// BenchmarkDelivery is what a webhook costs before the database is asked: the claimed tenant, the signature, the fields.
func BenchmarkDelivery(b *testing.B) {
	body := []byte(`{"event":"ticket_created","tenant_id":"acme","ticket_id":"4711","created_at":"2026-11-23T04:00:00Z",` +
		`"subject":"VPN error 809","description":"` + strings.Repeat("Cannot connect from home since this morning. ", 12) + `"}`)
	tenant := Tenant{ID: "acme", Active: true, Secrets: []string{"current-secret", "previous-secret"}, Kinds: []string{kindHMAC, kindToken, kindStandard}}
	header := http.Header{}
	header.Set(headerSignature, hex.EncodeToString(sign([]byte("current-secret"), body)))
	b.ReportAllocs()
	for b.Loop() {
		credentials := readCredentials(header)
		require.True(b, verify(tenant, credentials, body, netip.Addr{}, time.Now(), time.Minute))
		_, err := decodeDelivery(claimedTenant(body), "", body)
		require.NoError(b, err)
	}
}
