package app

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"aiagents/modules/tenant"
)

// signWebhook proves a test webhook to be the tenant's, by the first kind of credential that the tenant takes. id and at are what
// Standard Webhooks signs beside the body.
func signWebhook(req *http.Request, t tenant.Tenant, id string, at time.Time, body []byte) {
	req.Header.Set("Content-Type", "application/json")
	secret := t.WebhookSecret.Reveal()
	switch {
	case t.Accepts(tenant.AuthHMAC):
		req.Header.Set("X-ServiceDesk-Signature", "sha256="+hex.EncodeToString(mac([]byte(secret), body)))
	case t.Accepts(tenant.AuthToken):
		req.Header.Set("X-ServiceDesk-Token", secret)
	default:
		stamp := strconv.FormatInt(at.Unix(), 10)
		signed := mac(tenant.StandardKey(t.WebhookSecret), fmt.Appendf(nil, "%s.%s.%s", id, stamp, body))
		req.Header.Set("Webhook-Id", id)
		req.Header.Set("Webhook-Timestamp", stamp)
		req.Header.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(signed))
	}
}

func mac(key, text []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(text)
	return h.Sum(nil)
}
