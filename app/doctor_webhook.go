package app

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"time"

	"aiagents/modules/tenant"
)

// doctorEvent is no event that is acted upon: the receiver records it as skipped, and no note comes of it.
const doctorEvent = "aiagents_doctor"

// doctorClient follows no redirect: the request carries a credential that is for the address it was given for.
func doctorClient() *http.Client {
	return &http.Client{
		Timeout:       webhookSendTimeout,
		Transport:     &http.Transport{DisableKeepAlives: true, Proxy: http.ProxyFromEnvironment},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// listening finds out whether anything answers at the webhook's address, whatever it says. A quiet local address is no
// failure: the webhooks may be taken on another machine.
func (d *doctor) listening(ctx context.Context, f *findings) bool {
	ctx, cancel := context.WithTimeout(ctx, doctorStepTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.hook, nil)
	var resp *http.Response
	if err == nil {
		resp, err = doctorClient().Do(req)
	}
	if err != nil {
		const next = "start 'aiagents serve' or 'aiagents all', or name the address that the desks use with --url"
		status := findingWarn
		if d.hookSet {
			status = findingFail
		}
		f.add(status, "webhook", next, "round trips skipped, nothing answers at %s: %s", d.hook, networkCause(err))
		return false
	}
	_ = resp.Body.Close() // not read
	f.ok("webhook", "something answers at %s", d.hook)
	return true
}

// roundTrip sends a signed webhook as the tenant's desk would. It is the same delivery all day long, so that it leaves one
// row a day however often an operator looks.
func (d *doctor) roundTrip(ctx context.Context, f *findings, t tenant.Tenant) {
	day := d.now().UTC().Truncate(24 * time.Hour).Format(time.RFC3339)
	body, err := json.Marshal(map[string]string{
		"event": doctorEvent, "tenant_id": t.ID, "ticket_id": "aiagents-doctor", "created_at": day, "correlation_id": doctorEvent,
	})
	var req *http.Request
	if err == nil {
		req, err = http.NewRequestWithContext(ctx, http.MethodPost, d.hook, bytes.NewReader(body))
	}
	if err != nil {
		f.fail("webhook", "name the address that the desks use with --url", "%s", clip(err.Error()))
		return
	}
	// The id is the day's too: for a Standard Webhooks sender it is what makes two deliveries one.
	signWebhook(req, t, doctorEvent+"-"+day, d.now(), body)
	start := time.Now()
	resp, err := doctorClient().Do(req)
	if err != nil {
		f.fail("webhook", "run this again; see docs/runbooks/webhook-not-received.md", "no answer: %s", networkCause(err))
		return
	}
	defer func() { _ = resp.Body.Close() }() // read below
	var answer struct {
		Status string
		Error  struct{ Code, Message string }
	}
	// What cannot be read is not our receiver's answer, and is judged by its status.
	_ = json.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(&answer)
	took := time.Since(start).Round(time.Millisecond)
	if resp.StatusCode == http.StatusAccepted && answer.Status == "accepted" {
		f.ok("webhook", "a signed test was accepted in %s; it is recorded as skipped", took)
		return
	}
	said := strings.TrimSpace(answer.Error.Code + " " + answer.Error.Message)
	f.fail("webhook", webhookStep(t, resp.StatusCode), "a signed test got %d %s", resp.StatusCode, said)
}

func webhookStep(t tenant.Tenant, status int) string {
	switch {
	case status == http.StatusUnauthorized && len(t.Settings.AllowedCIDRs) > 0:
		return "the tenant takes webhooks from its --allowed-cidrs only: this machine may not be in them"
	case status == http.StatusUnauthorized:
		return "see that the process at this address has this database and this keyring, and that no proxy changes headers or body"
	case status == http.StatusTooManyRequests:
		return "wait for the time in Retry-After; see docs/runbooks/webhook-not-received.md"
	case status == http.StatusServiceUnavailable:
		return "the process at this address cannot reach its database: docs/runbooks/database-connection.md"
	}
	return "see that the address is the webhook's, such as https://HOST/webhook/servicedesk"
}
