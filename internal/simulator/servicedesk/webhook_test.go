package servicedesk_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"aiagents/internal/simulator/servicedesk"
)

type delivery struct {
	header http.Header
	body   string
}

// receiver answers webhooks with one status and keeps them.
type receiver struct {
	*httptest.Server
	mu  sync.Mutex
	all []delivery
}

func receive(t *testing.T, status int) *receiver {
	t.Helper()
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		r.mu.Lock()
		r.all = append(r.all, delivery{req.Header, string(body)})
		r.mu.Unlock()
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, `{"job_id":"j"}`)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) deliveries() []delivery {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]delivery(nil), r.all...)
}

func hooked(t *testing.T, r *receiver, w servicedesk.Webhook) *client {
	t.Helper()
	w.URL = r.URL + "/webhook/servicedesk"
	return start(t, servicedesk.Options{Webhooks: []servicedesk.Webhook{w}, HTTPClient: r.Client(), Clock: newClock().Now})
}

func TestWebhookOnCreate(t *testing.T) {
	t.Parallel()
	r := receive(t, 202)
	c := hooked(t, r, servicedesk.Webhook{TenantID: "acme", Token: "s3cret", HMACSecret: "hush", Headers: map[string]string{"X-Extra": "1"}})
	id, answer, err := c.desk.CreateTicket(t.Context(), servicedesk.Ticket{Subject: `He said "no"`, Description: "<p>x</p>", Priority: "High"})
	require.NoError(t, err)
	require.Equal(t, 202, answer.Status)
	require.JSONEq(t, `{"job_id":"j"}`, answer.Body)
	require.Equal(t, []servicedesk.WebhookAnswer{answer}, c.desk.WebhookAnswers())

	got := r.deliveries()
	require.Len(t, got, 1)
	require.Equal(t, "s3cret", got[0].header.Get("X-ServiceDesk-Token"))
	require.Equal(t, "1", got[0].header.Get("X-Extra"))
	mac := hmac.New(sha256.New, []byte("hush"))
	mac.Write([]byte(got[0].body))
	require.Equal(t, hex.EncodeToString(mac.Sum(nil)), got[0].header.Get("X-ServiceDesk-Signature"))
	var body map[string]any
	require.NoError(t, json.Unmarshal([]byte(got[0].body), &body))
	require.Equal(t, map[string]any{
		"event": "ticket_created", "ticket_id": id, "tenant_id": "acme", "subject": `He said "no"`,
		"description": "<p>x</p>", "priority": "High", "created_at": "2026-11-23T09:00:00Z",
	}, body)
}

func TestWebhookBase64AndThinBody(t *testing.T) {
	t.Parallel()
	r := receive(t, 202)
	c := hooked(t, r, servicedesk.Webhook{HMACSecret: "hush", HMACBase64: true, HMACHeader: "X-Sig", Body: servicedesk.ThinBody})
	_, _, err := c.desk.CreateTicket(t.Context(), servicedesk.Ticket{Subject: "x"})
	require.NoError(t, err)
	got := r.deliveries()[0]
	require.JSONEq(t, `{"event":"ticket_created","ticket_id":"1","tenant_id":""}`, got.body)
	mac := hmac.New(sha256.New, []byte("hush"))
	mac.Write([]byte(got.body))
	require.Equal(t, base64.StdEncoding.EncodeToString(mac.Sum(nil)), got.header.Get("X-Sig"))
}

func TestWebhookIsNeverRetriedNorRedirected(t *testing.T) {
	t.Parallel()
	for _, status := range []int{503, 401, 302} {
		r := receive(t, status)
		c := hooked(t, r, servicedesk.Webhook{})
		_, answer, err := c.desk.CreateTicket(t.Context(), servicedesk.Ticket{Subject: "x"})
		require.NoError(t, err, "the ticket exists whatever the receiver says")
		require.Equal(t, status, answer.Status)
		require.NoError(t, c.desk.Close())
		require.Len(t, r.deliveries(), 1)
	}
}

func TestWebhookReceiverDown(t *testing.T) {
	t.Parallel()
	r := receive(t, 202)
	c := hooked(t, r, servicedesk.Webhook{Timeout: time.Second})
	r.Close()
	_, answer, err := c.desk.CreateTicket(t.Context(), servicedesk.Ticket{Subject: "x"})
	require.NoError(t, err)
	require.Zero(t, answer.Status)
	require.NotEmpty(t, answer.Error)
}

func TestWebhookEvents(t *testing.T) {
	t.Parallel()
	r := receive(t, 202)
	c := hooked(t, r, servicedesk.Webhook{Body: servicedesk.ThinBody, Events: []string{
		servicedesk.TicketCreated, servicedesk.TicketUpdated, servicedesk.TicketResolved, servicedesk.TicketClosed,
	}})
	require.Equal(t, 200, c.send("POST", "/requests", `{"request":{"subject":"x"}}`).status)
	event := func(n int) string {
		t.Helper()
		require.Eventually(t, func() bool { return len(c.desk.WebhookAnswers()) == n }, 2*time.Second, time.Millisecond)
		return c.desk.WebhookAnswers()[n-1].Event
	}
	require.Equal(t, servicedesk.TicketCreated, event(1))
	c.note("1", "x")
	require.Equal(t, servicedesk.TicketUpdated, event(2), "our own note fires the edited trigger")
	_, err := c.desk.ResolveTicket(t.Context(), "1", "<p>done</p>")
	require.NoError(t, err)
	require.Equal(t, servicedesk.TicketResolved, event(3))
	_, err = c.desk.CloseTicket(t.Context(), "1")
	require.NoError(t, err)
	require.Equal(t, servicedesk.TicketClosed, event(4))
	_, err = c.desk.FireWebhook(t.Context(), servicedesk.TicketCreated, "1")
	require.NoError(t, err)
	require.Equal(t, servicedesk.TicketCreated, event(5))
	_, err = c.desk.FireWebhook(t.Context(), servicedesk.TicketCreated, "99")
	require.Error(t, err)
	_, err = c.desk.ResolveTicket(t.Context(), "99", "")
	require.Error(t, err)
}

func TestWebhookPerAccount(t *testing.T) {
	t.Parallel()
	r := receive(t, 202)
	c := start(t, servicedesk.Options{
		Edition: servicedesk.MSPOnPrem, HTTPClient: r.Client(),
		Accounts: []servicedesk.Account{{ID: "10", Name: "Acme"}, {ID: "20", Name: "Globex"}},
		Webhooks: []servicedesk.Webhook{{URL: r.URL, Account: "20", TenantID: "globex", Body: servicedesk.ThinBody}},
	})
	_, answer, err := c.desk.CreateTicket(t.Context(), servicedesk.Ticket{Subject: "x", AccountID: "10"})
	require.NoError(t, err)
	require.Zero(t, answer)
	_, answer, err = c.desk.CreateTicket(t.Context(), servicedesk.Ticket{Subject: "x", AccountID: "20"})
	require.NoError(t, err)
	require.Equal(t, 202, answer.Status)
	require.Len(t, r.deliveries(), 1)
	require.Contains(t, r.deliveries()[0].body, "globex")
}

func TestWebhookSetUpLater(t *testing.T) {
	t.Parallel()
	r := receive(t, 202)
	c := start(t, servicedesk.Options{HTTPClient: r.Client()})
	_, answer, err := c.desk.CreateTicket(t.Context(), servicedesk.Ticket{Subject: "x"})
	require.NoError(t, err)
	require.Zero(t, answer)
	require.NoError(t, c.desk.AddWebhook(servicedesk.Webhook{URL: r.URL}))
	require.Error(t, c.desk.AddWebhook(servicedesk.Webhook{URL: r.URL, Body: "{{"}))
	_, answer, err = c.desk.CreateTicket(t.Context(), servicedesk.Ticket{Subject: "x"})
	require.NoError(t, err)
	require.Equal(t, 202, answer.Status)
}
