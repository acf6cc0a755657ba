package tenant

import (
	"encoding/base64"
	"net/netip"
	"slices"
	"strings"
	"time"

	"aiagents/internal/keyring"
	"aiagents/internal/secret"
)

// Editions of the service desk.
const (
	OnPrem    = "onprem"
	Cloud     = "cloud"
	MSPOnPrem = "msp_onprem"
	MSPCloud  = "msp_cloud"
	Generic   = "generic"
)

// Kinds of webhook credential.
const (
	AuthHMAC     = "hmac"
	AuthToken    = "token"
	AuthStandard = "standard"
)

// What to do when a note may or may not have reached the desk.
const (
	Verify      = "verify"
	NeverRepost = "never_repost"
)

// Tenant is one customer with everything that is known about them. Its secrets are open in memory, and print as "[set]".
type Tenant struct {
	ID             string        `json:"id"`
	Name           string        `json:"name"`
	Edition        string        `json:"edition"`
	ServiceDeskURL string        `json:"servicedesk_url"`
	Settings       Settings      `json:"settings"`
	APIKey         secret.Secret `json:"servicedesk_api_key"`

	WebhookAuth   []string      `json:"webhook_auth"`
	WebhookSecret secret.Secret `json:"webhook_secret"`
	// PreviousSecret stays valid until PreviousExpiresAt, so that a rotation refuses no request.
	PreviousSecret    secret.Secret `json:"webhook_secret_previous"`
	PreviousExpiresAt *time.Time    `json:"webhook_secret_previous_expires_at,omitempty"`

	Preferences Preferences `json:"preferences"`
	DisabledAt  *time.Time  `json:"disabled_at,omitempty"`
	Version     int64       `json:"version"`
	CreatedAt   time.Time   `json:"created_at"`
	UpdatedAt   time.Time   `json:"updated_at"`

	dataKey *keyring.DataKey
}

// Settings tells how to reach the tenant's desk and what to accept from it.
type Settings struct {
	// Portal is the portal of a cloud desk, such as "itdesk".
	Portal string `json:"portal,omitempty"`
	// NoteKey overrides the name of the envelope around a note; empty takes the edition's own.
	NoteKey string `json:"note_key,omitempty"`
	// AccountIDs are the MSP accounts whose tickets belong to this tenant.
	AccountIDs []string `json:"account_ids,omitempty"`
	// OnAmbiguous is verify (look for the note, then post again) or never_repost (rather no note than two).
	OnAmbiguous string `json:"on_ambiguous"`
	// AllowedCIDRs are the addresses that webhooks may come from; none means any.
	AllowedCIDRs []netip.Prefix `json:"allowed_cidrs,omitempty"`
}

// Disabled reports whether the tenant's webhooks are refused.
func (t Tenant) Disabled() bool { return t.DisabledAt != nil }

// Accepts reports whether the tenant takes the kind of webhook credential: hmac, token or standard.
func (t Tenant) Accepts(kind string) bool { return slices.Contains(t.WebhookAuth, kind) }

// AllowsAddress reports whether a webhook may come from addr.
func (t Tenant) AllowsAddress(addr netip.Addr) bool {
	if len(t.Settings.AllowedCIDRs) == 0 {
		return true
	}
	addr = addr.Unmap().WithZone("")
	return slices.ContainsFunc(t.Settings.AllowedCIDRs, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// WebhookSecrets returns the secrets that are active at now: always two, so that verifying costs the same during a rotation
// and outside one. A place that has no active secret holds a random one that nobody knows.
func (t Tenant) WebhookSecrets(now time.Time) [2]secret.Secret {
	active := [2]secret.Secret{unknownSecret, unknownSecret}
	if t.WebhookSecret.IsSet() {
		active[0] = t.WebhookSecret
	}
	if t.PreviousSecret.IsSet() && t.PreviousExpiresAt != nil && now.Before(*t.PreviousExpiresAt) {
		active[1] = t.PreviousSecret
	}
	return active
}

const standardPrefix = "whsec_"

// StandardKey is the key that a webhook secret stands for in Standard Webhooks: the bytes whose base64 follows "whsec_", or
// the text itself. The other kinds of credential always use the text as it was printed.
func StandardKey(s secret.Secret) []byte {
	text := s.Reveal()
	if encoded, ok := strings.CutPrefix(text, standardPrefix); ok {
		if key, err := base64.StdEncoding.DecodeString(encoded); err == nil && len(key) > 0 {
			return key
		}
	}
	return []byte(text)
}

// Connection is what is needed to call a tenant's service desk.
type Connection struct {
	TenantID    string
	Edition     string
	URL         string
	Portal      string
	NoteKey     string
	AccountIDs  []string
	OnAmbiguous string
	// APIKey is set for every edition but cloud and msp_cloud, OAuth for those two.
	APIKey secret.Secret
	OAuth  OAuth
	// Version grows with every change, so that a refused credential can be told from its replacement.
	Version int64
}

// OAuth is the API key of a cloud desk.
type OAuth struct {
	AccountsURL  string        `json:"accounts_url"`
	ClientID     string        `json:"client_id"`
	ClientSecret secret.Secret `json:"client_secret"`
	RefreshToken secret.Secret `json:"refresh_token"`
}
