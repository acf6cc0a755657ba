package servicedesk

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"text/template"
	"time"
)

// The events a trigger can listen for.
const (
	TicketCreated  = "ticket_created"
	TicketUpdated  = "ticket_updated"
	TicketResolved = "ticket_resolved"
	TicketClosed   = "ticket_closed"
)

// FullBody and ThinBody are body templates as an administrator would set them up.
// The values are .Event, .TenantID and .Ticket; json quotes, time formats RFC 3339.
const (
	FullBody = `{"event":{{json .Event}},"ticket_id":{{json .Ticket.ID}},"tenant_id":{{json .TenantID}},` +
		`"subject":{{json .Ticket.Subject}},"description":{{json .Ticket.Description}},` +
		`"priority":{{json .Ticket.Priority}},"created_at":{{json (time .Ticket.Created)}}}`
	ThinBody = `{"event":{{json .Event}},"ticket_id":{{json .Ticket.ID}},"tenant_id":{{json .TenantID}}}`
)

// Webhook is a trigger with a webhook action: sent once, never retried.
type Webhook struct {
	URL      string
	Method   string   // default POST
	Events   []string // default ticket_created
	Account  string   // MSP: only tickets of this account; empty is all
	TenantID string   // for the body template
	// Token is sent as X-ServiceDesk-Token, which the built-in form can do.
	Token string
	// HMACSecret signs the body as a Deluge script would, into HMACHeader
	// (default X-ServiceDesk-Signature), in hex or with HMACBase64 in base64.
	HMACSecret string
	HMACHeader string
	HMACBase64 bool
	Headers    map[string]string
	Body       string        // template, default FullBody
	Timeout    time.Duration // default 10 s
}

// WebhookAnswer is what came back for one webhook.
type WebhookAnswer struct {
	Event    string        `json:"event"`
	TicketID string        `json:"ticket_id"`
	URL      string        `json:"url"`
	Sent     time.Time     `json:"sent"`
	Took     time.Duration `json:"took"`
	Status   int           `json:"status"` // 0 without an answer
	Body     string        `json:"body"`
	Error    string        `json:"error,omitempty"`
}

// hook is a webhook with its body parsed.
type hook struct {
	Webhook
	body *template.Template
}

// sender sends webhooks and keeps what came back.
type sender struct {
	client  *http.Client
	mu      sync.Mutex
	hooks   []hook
	answers []WebhookAnswer
}

// newSender copies the client, since it has to switch redirects off.
func newSender(o Options) (*sender, error) {
	client := http.Client{}
	if o.HTTPClient != nil {
		client = *o.HTTPClient
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	s := &sender{client: &client}
	for _, w := range o.Webhooks {
		if err := s.add(w); err != nil {
			return nil, err
		}
	}
	return s, nil
}

var bodyFuncs = template.FuncMap{
	"json": func(v any) (string, error) { b, err := json.Marshal(v); return string(b), err },
	"time": func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
}

// AddWebhook sets up a webhook on a desk that runs, as an administrator does once the
// receiver has told its address and secret.
func (d *Desk) AddWebhook(w Webhook) error { return d.hooks.add(w) }

func (s *sender) add(w Webhook) error {
	if len(w.Events) == 0 {
		w.Events = []string{TicketCreated}
	}
	body, err := template.New("body").Funcs(bodyFuncs).Parse(cmp.Or(w.Body, FullBody))
	if err != nil {
		return fmt.Errorf("parse webhook body: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hooks = append(s.hooks, hook{w, body})
	return nil
}

func (h hook) listens(event, account string) bool {
	return slices.Contains(h.Events, event) && (h.Account == "" || h.Account == account)
}

// listening returns the webhooks for an event, so that no goroutine starts for none.
func (s *sender) listening(event, account string) []hook {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []hook
	for _, h := range s.hooks {
		if h.listens(event, account) {
			out = append(out, h)
		}
	}
	return out
}

// WebhookAnswers returns the answers to all webhooks sent so far.
func (d *Desk) WebhookAnswers() []WebhookAnswer {
	d.hooks.mu.Lock()
	defer d.hooks.mu.Unlock()
	return slices.Clone(d.hooks.answers)
}

// replay keeps the answers of an earlier process.
func (s *sender) replay(entries []Entry) {
	for _, e := range entries {
		if e.Webhook != nil {
			s.answers = append(s.answers, *e.Webhook)
		}
	}
}

// fire sends every webhook that listens and returns the first one's answer.
func (d *Desk) fire(ctx context.Context, event string, t Ticket) (first WebhookAnswer) {
	for i, h := range d.hooks.listening(event, t.AccountID) {
		a := WebhookAnswer{Event: event, TicketID: t.ID, URL: h.URL, Sent: d.clock()}
		started := time.Now()
		status, body, err := d.hooks.send(ctx, h, event, t)
		a.Took, a.Status, a.Body = time.Since(started), status, body
		if err != nil {
			a.Error = err.Error()
		}
		d.hooks.mu.Lock()
		d.hooks.answers = append(d.hooks.answers, a)
		d.hooks.mu.Unlock()
		if err := d.journal.write(Entry{Kind: "webhook", Webhook: &a, Time: a.Sent}); err != nil && a.Error == "" {
			a.Error = err.Error()
		}
		if i == 0 {
			first = a
		}
	}
	return first
}

// send signs the very bytes it sends.
func (s *sender) send(ctx context.Context, h hook, event string, t Ticket) (int, string, error) {
	var body bytes.Buffer
	err := h.body.Execute(&body, struct {
		Event, TenantID string
		Ticket          Ticket
	}{event, h.TenantID, t})
	if err != nil {
		return 0, "", fmt.Errorf("render webhook body: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(h.Timeout, 10*time.Second))
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, cmp.Or(h.Method, http.MethodPost), h.URL, bytes.NewReader(body.Bytes()))
	if err != nil {
		return 0, "", fmt.Errorf("build webhook: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	if h.Token != "" {
		req.Header.Set("X-ServiceDesk-Token", h.Token)
	}
	if h.HMACSecret != "" {
		req.Header.Set(cmp.Or(h.HMACHeader, "X-ServiceDesk-Signature"), h.sign(body.Bytes()))
	}
	for k, v := range h.Headers {
		req.Header.Set(k, v)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return 0, "", fmt.Errorf("send webhook: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	return resp.StatusCode, string(answer), err
}

func (h hook) sign(body []byte) string {
	mac := hmac.New(sha256.New, []byte(h.HMACSecret))
	mac.Write(body)
	if h.HMACBase64 {
		return base64.StdEncoding.EncodeToString(mac.Sum(nil))
	}
	return hex.EncodeToString(mac.Sum(nil))
}
