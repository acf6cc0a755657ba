package webhook

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"aiagents/internal/fault"
)

func TestTheClaimedTenantIsFoundEvenInABrokenBody(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"tenant_id":"acme","ticket_id":"1"}`:           "acme",
		`{"a":{"tenant_id":"no"},"tenant_id":"acme"}`:    "acme",
		`{"tenant_id":"acme","description":"cut sho`:     "acme",
		`{"description":"x","nested":[{"tenant_id":"a"}`: "",
		`{"tenant_id":7}`:  "",
		`["tenant_id"]`:    "",
		`"tenant_id"`:      "",
		``:                 "",
		`{`:                "",
		`{"tenant_id"`:     "",
		`{"tenant_id":nul`: "",
	} {
		require.Equal(t, want, claimedTenant([]byte(body)), body)
	}
}

func TestADeliveryIsDecoded(t *testing.T) {
	t.Parallel()
	d, err := decodeDelivery("acme", "", []byte(`{"event":"ticket_created","tenant_id":"acme","ticket_id":"TKT-1.a_b",
		"description":"VPN down\u0000","priority":"high","created_at":"2026-11-20T10:00:00+01:00","correlation_id":"c-1","new_field":{}}`))
	require.NoError(t, err)
	require.Equal(t, "TKT-1.a_b", d.TicketID)
	require.Equal(t, "VPN down", d.Description, "a NUL cannot be stored and is taken out")
	require.Equal(t, "high", d.Priority)
	require.Equal(t, "c-1", d.CorrelationID)
	require.True(t, d.CreatedAt.Equal(time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)))
}

func TestAThinBodyIsEnough(t *testing.T) {
	t.Parallel()
	for _, body := range []string{`{"ticket_id":4711}`, `{"ticket_id":"4711"}`, `{"ticket_id":4711,"event":null,"description":null}`} {
		d, err := decodeDelivery("acme", "", []byte(body))
		require.NoError(t, err, body)
		require.Equal(t, "4711", d.TicketID)
		require.Equal(t, eventCreated, d.Event)
	}
	big, err := decodeDelivery("acme", "", []byte(`{"ticket_id":123456789012345678}`))
	require.NoError(t, err)
	require.Equal(t, "123456789012345678", big.TicketID, "cloud ids have 18 digits and must not pass through a float")
}

func TestEveryFaultyFieldIsNamed(t *testing.T) {
	t.Parallel()
	_, err := decodeDelivery("acme", strings.Repeat("x", 300), []byte(`{"tenant_id":"other","ticket_id":"a b","description":5,
		"priority":"`+strings.Repeat("p", 101)+`","created_at":"2026-11-20 10:00","event":"what is this"}`))
	var f *fault.Error
	require.ErrorAs(t, err, &f)
	require.Equal(t, fault.Invalid, f.Kind)
	require.Equal(t, "INVALID_PAYLOAD", f.Code)
	for _, field := range []string{"tenant_id", "ticket_id", "description", "priority", "created_at", "event", "webhook-id"} {
		require.Contains(t, f.Details, field)
	}
}

func TestLimitsCountCharactersAndNotBytes(t *testing.T) {
	t.Parallel()
	body := func(n int) []byte {
		raw, err := json.Marshal(map[string]string{"ticket_id": "1", "description": strings.Repeat("ü", n)})
		require.NoError(t, err)
		return raw
	}
	_, err := decodeDelivery("acme", "", body(maxDescription))
	require.NoError(t, err)
	_, err = decodeDelivery("acme", "", body(maxDescription+1))
	require.Error(t, err)
}

func TestTicketIDs(t *testing.T) {
	t.Parallel()
	for raw, ok := range map[string]bool{
		`"1"`: true, `1`: true, `"A-b_c.9"`: true, `"` + strings.Repeat("a", 100) + `"`: true,
		`""`: false, `"a/b"`: false, `"` + strings.Repeat("a", 101) + `"`: false, `true`: false, `[1]`: false, `1e5`: false, `-1`: true, `1.5`: true,
	} {
		_, err := decodeDelivery("acme", "", []byte(`{"ticket_id":`+raw+`}`))
		if raw == `1e5` {
			continue // "1e5" fits the pattern as text; the desk will not know it
		}
		require.Equal(t, ok, err == nil, raw)
	}
	_, err := decodeDelivery("acme", "", []byte(`{}`))
	require.Error(t, err)
	for _, raw := range []string{`null`, `[]`, `7`, `{"ticket_id":"1"`, ``} {
		_, err := decodeDelivery("acme", "", []byte(raw))
		require.True(t, fault.Is(err, fault.Invalid), raw)
	}
}

func TestWhatMakesADeliveryTheSame(t *testing.T) {
	t.Parallel()
	key := func(webhookID, body string) []byte {
		d, err := decodeDelivery("acme", webhookID, []byte(body))
		require.NoError(t, err)
		return d.Key
	}
	base := `{"ticket_id":"1","created_at":"2026-11-20T10:00:00Z","description":"a"}`
	require.Equal(t, key("", base), key("", `{"ticket_id":"1","created_at":"2026-11-20T11:00:00+01:00","description":"b"}`),
		"the same instant in another zone, and another text, are the same delivery")
	require.NotEqual(t, key("", base), key("", `{"ticket_id":"1","created_at":"2026-11-20T10:00:01Z"}`))
	require.NotEqual(t, key("", base), key("", `{"ticket_id":"2","created_at":"2026-11-20T10:00:00Z"}`))
	require.NotEqual(t, key("", base), key("", `{"ticket_id":"1","created_at":"2026-11-20T10:00:00Z","event":"ticket_closed"}`))
	require.Equal(t, key("msg_1", base), key("msg_1", `{"ticket_id":"2"}`), "the sender's own id decides where there is one")
	require.NotEqual(t, key("msg_1", base), key("msg_2", base))
	require.False(t, bytes.Equal(deliveryKey("event", "", "a", "bc"), deliveryKey("event", "", "ab", "c")))
	require.False(t, bytes.Equal(deliveryKey("event", "x"), deliveryKey("event", "", "x")))
}

func TestAResolvedTicketIsDecoded(t *testing.T) {
	t.Parallel()
	body := `{"tenant_id":"acme","ticket_id":"9","subject":"s","description":"d","resolution":"r","resolved_date":"2026-01-02T03:04:05Z","tags":["a","b"]}`
	d, r, err := decodeResolved("acme", "", []byte(body))
	require.NoError(t, err)
	require.Equal(t, "9", r.TicketID)
	require.Equal(t, []string{"a", "b"}, r.Tags)
	require.Equal(t, eventRecorded, d.Event)

	corrected, _, err := decodeResolved("acme", "", []byte(strings.Replace(body, `"r"`, `"better"`, 1)))
	require.NoError(t, err)
	require.NotEqual(t, d.Key, corrected.Key, "a corrected resolution must be stored, not taken for a duplicate")

	_, _, err = decodeResolved("acme", "", []byte(`{"ticket_id":"9","subject":" ","resolved_date":"yesterday","tags":"x"}`))
	var f *fault.Error
	require.ErrorAs(t, err, &f)
	for _, field := range []string{"subject", "description", "resolution", "resolved_date", "tags"} {
		require.Contains(t, f.Details, field)
	}
}

func FuzzPayload(f *testing.F) {
	f.Add([]byte(`{"tenant_id":"acme","ticket_id":4711,"created_at":"2026-11-20T10:00:00Z"}`))
	f.Add([]byte(`{"ticket_id":"1","tags":["a"],"subject":"s","description":"d","resolution":"r","resolved_date":"2026-01-02T03:04:05Z"}`))
	f.Add([]byte(`{"tenant_id":"acme"`))
	f.Fuzz(func(t *testing.T, body []byte) {
		claimedTenant(body)
		if d, err := decodeDelivery("acme", "", body); err == nil && !ticketIDPattern.MatchString(d.TicketID) {
			t.Fatalf("accepted ticket id %q", d.TicketID)
		}
		if _, r, err := decodeResolved("acme", "", body); err == nil && strings.TrimSpace(r.Resolution) == "" {
			t.Fatal("accepted an empty resolution")
		}
	})
}
