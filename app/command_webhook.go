package app

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"aiagents/internal/fault"
	"aiagents/modules/tenant"
)

// webhookSendTimeout bounds a test webhook.
const webhookSendTimeout = 15 * time.Second

func (c *cli) webhookCommand() *cobra.Command {
	group := &cobra.Command{Use: "webhook", Short: "Test the webhook"}
	group.AddCommand(c.webhookSend())
	return group
}

func (c *cli) webhookSend() *cobra.Command {
	var tenantID, ticketID, description, subject, url, event string
	cmd := &cobra.Command{
		Use: "send", Short: "Send a correctly signed webhook, as the service desk would", Args: cobra.NoArgs,
		Long: `Sends a correctly signed webhook with the tenant's own secret, by the first of its credentials: HMAC-SHA256 of the body in
X-ServiceDesk-Signature, the token in X-ServiceDesk-Token, or Standard Webhooks.
With a ticket id that the desk does not have, the enhancement ends as failed: there is no ticket to write a note on.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := needTenant(tenantID); err != nil {
				return err
			}
			cfg, err := c.config()
			if err != nil {
				return err
			}
			if url == "" {
				url = localURL(cfg.HTTP.Addr) + "/webhook/servicedesk"
			}
			if ticketID == "" {
				ticketID = "TEST-" + strings.ToUpper(hex.EncodeToString(randomBytes(4)))
			}
			return c.withSystem(cmd.Context(), func(ctx context.Context, s *system) error {
				t, err := s.tenants.Fresh(ctx, tenantID)
				if err != nil {
					return err
				}
				body, err := json.Marshal(map[string]string{
					"event": event, "tenant_id": tenantID, "ticket_id": ticketID, "subject": subject, "description": description,
					"priority": "medium", "created_at": time.Now().UTC().Format(time.RFC3339Nano),
				})
				if err != nil {
					return fmt.Errorf("encode webhook: %w", err)
				}
				return c.postWebhook(ctx, url, t, body)
			})
		},
	}
	tenantFlag(cmd, &tenantID)
	cmd.Flags().StringVar(&ticketID, "ticket-id", "", "id of the ticket (default: a random one)")
	cmd.Flags().StringVar(&subject, "subject", "aiagents test webhook", "subject of the ticket")
	cmd.Flags().StringVar(&description, "description", "Test webhook sent by an operator.", "description of the ticket; empty for a thin body")
	cmd.Flags().StringVar(&event, "event", "ticket_created", "event of the webhook")
	cmd.Flags().StringVar(&url, "url", "", "address to send to (default: the webhook of this machine)")
	return c.outputFlag(cmd)
}

func (c *cli) postWebhook(ctx context.Context, url string, t tenant.Tenant, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, webhookSendTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "--url is no address")
	}
	signWebhook(req, t, "msg_"+hex.EncodeToString(randomBytes(12)), time.Now(), body)
	client := &http.Client{Timeout: webhookSendTimeout}
	start := time.Now()
	resp, err := client.Do(req)
	if err != nil {
		return fault.Wrap(fault.Unavailable, err, fmt.Sprintf("nothing answers at %s: is 'aiagents serve' or 'aiagents all' running?", url))
	}
	defer func() { _ = resp.Body.Close() }() // read to its end below
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	out := struct {
		Status   int             `json:"status"`
		Duration string          `json:"duration"`
		Body     json.RawMessage `json:"body"`
	}{resp.StatusCode, time.Since(start).Round(time.Millisecond).String(), answer}
	if !json.Valid(answer) {
		out.Body, _ = json.Marshal(string(answer)) // a string always encodes
	}
	err = c.print(out, "", func(line func(...any)) {
		line("status", resp.Status)
		line("duration", out.Duration)
		line("answer", strings.TrimSpace(string(answer)))
	})
	if err == nil && resp.StatusCode != http.StatusAccepted {
		return errSilent
	}
	return err
}

// localURL is where a server listening on addr is reached from this machine.
func localURL(addr string) string {
	host, port, found := strings.Cut(addr, ":")
	if !found || host == "" || host == "0.0.0.0" {
		host = "127.0.0.1"
	}
	return "http://" + host + ":" + port
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails, see crypto/rand
	return b
}
