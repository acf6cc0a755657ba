package tenant

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"aiagents/internal/fault"
	"aiagents/internal/secret"
)

const (
	maxNameLength   = 200
	maxURLLength    = 500
	maxAPIKeyLength = 8 << 10
	minSecretLength = 16
	maxSecretLength = 256
	maxAccounts     = 1000
	maxCIDRs        = 100
	// minStandardKey is the shortest key that Standard Webhooks allows, in bytes.
	minStandardKey = 24
)

var (
	tenantID  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)
	accountID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,100}$`)
	portal    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)
	noteKey   = regexp.MustCompile(`^[a-z][a-z_]{0,49}$`)

	editions     = []string{OnPrem, Cloud, MSPOnPrem, MSPCloud, Generic}
	authKinds    = []string{AuthHMAC, AuthToken, AuthStandard}
	onAmbiguous  = []string{Verify, NeverRepost}
	needAccounts = []string{MSPOnPrem, MSPCloud}
)

// faults collects what is wrong with each field, so that a caller can repair everything at once.
type faults map[string]string

// when notes a fault of the field; the first one of a field stands.
func (f faults) when(wrong bool, field, format string, args ...any) {
	if _, known := f[field]; wrong && !known {
		f[field] = fmt.Sprintf(format, args...)
	}
}

func (f faults) err(message string) error {
	if len(f) == 0 {
		return nil
	}
	return fault.New(fault.Invalid, message).WithDetails(f)
}

// validate brings the tenant into its canonical form, with the networks of cidrs added, and names every faulty field. It
// never repeats a secret.
func (m *Module) validate(t *Tenant, cidrs []string) error {
	f := faults{}
	t.Settings.AllowedCIDRs = append(t.Settings.AllowedCIDRs, parseCIDRs(cidrs, f)...)
	f.when(!tenantID.MatchString(t.ID), "id", "must be 1 to 100 letters, digits, '.', '_' or '-', and start with a letter or digit")
	t.Name = strings.TrimSpace(t.Name)
	f.when(t.Name == "" || utf8.RuneCountInString(t.Name) > maxNameLength || !printable(t.Name), "name",
		"must be 1 to %d printable characters", maxNameLength)
	t.Edition = orDefault(t.Edition, OnPrem)
	f.when(!slices.Contains(editions, t.Edition), "edition", "must be one of %s", strings.Join(editions, ", "))
	canonical, wrong := m.canonicalURL(t.ServiceDeskURL)
	t.ServiceDeskURL = canonical
	f.when(wrong != "", "servicedesk_url", "%s", wrong)
	m.checkAPIKey(t, f)
	checkWebhookAuth(t, f)
	checkWebhookSecret(t.WebhookSecret, f)
	checkSettings(t, f)
	t.Preferences.check(f)
	return f.err("the tenant cannot be stored as given")
}

func checkSettings(t *Tenant, f faults) {
	s := &t.Settings
	s.OnAmbiguous = orDefault(s.OnAmbiguous, Verify)
	f.when(!slices.Contains(onAmbiguous, s.OnAmbiguous), "on_ambiguous", "must be one of %s", strings.Join(onAmbiguous, ", "))
	f.when(s.Portal != "" && !portal.MatchString(s.Portal), "portal", "must be the name in the portal's address, such as itdesk")
	f.when(s.NoteKey != "" && !noteKey.MatchString(s.NoteKey), "note_key", "must be lower-case letters and '_', such as note or request_note")
	s.AccountIDs = sortedSet(s.AccountIDs)
	f.when(len(s.AccountIDs) > maxAccounts, "account_ids", "must be at most %d", maxAccounts)
	for _, id := range s.AccountIDs {
		f.when(!accountID.MatchString(id), "account_ids", "must be ids of letters, digits, '.', '_' or '-'")
	}
	f.when(len(s.AccountIDs) > 0 && !slices.Contains(needAccounts, t.Edition), "account_ids",
		"belong to the editions %s only", strings.Join(needAccounts, ", "))
	f.when(len(s.AllowedCIDRs) > maxCIDRs, "allowed_cidrs", "must be at most %d", maxCIDRs)
	for i, p := range s.AllowedCIDRs {
		f.when(!p.IsValid() || p.Addr().Is4In6(), "allowed_cidrs", "must be networks such as 192.0.2.0/24 or 2001:db8::/32")
		s.AllowedCIDRs[i] = p.Masked()
	}
}

// parseCIDRs reads networks and single addresses.
func parseCIDRs(texts []string, f faults) []netip.Prefix {
	var networks []netip.Prefix
	for _, text := range texts {
		text = strings.TrimSpace(text)
		if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
			addr = addr.Unmap()
			networks = append(networks, netip.PrefixFrom(addr, addr.BitLen()))
			continue
		}
		network, err := netip.ParsePrefix(text)
		f.when(err != nil, "allowed_cidrs", "must be networks such as 192.0.2.0/24 or 2001:db8::/32")
		networks = append(networks, network)
	}
	return networks
}

// canonicalURL returns the URL without a trailing slash, or what is wrong with it. Whether its host may be reached is
// decided when it is dialled, after its name was resolved.
func (m *Module) canonicalURL(text string) (canonical, wrong string) {
	text = strings.TrimSpace(text)
	u, err := url.Parse(text)
	switch {
	case text == "":
		return text, "is required, such as https://desk.example.com"
	case err != nil || len(text) > maxURLLength || u.Opaque != "" || u.Hostname() == "" || !printable(text):
		return text, fmt.Sprintf("must be a URL such as https://desk.example.com, of at most %d characters", maxURLLength)
	case u.User != nil:
		return "", "must not hold a user name or password"
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.Contains(text, "#"):
		return text, "must not hold a query or a fragment"
	case u.Scheme == "http" && !m.cfg.AllowHTTP:
		return text, "must be https"
	case u.Scheme != "https" && u.Scheme != "http":
		return text, "must be https"
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return text, "has a port that is not 1 to 65535"
		}
	}
	return strings.TrimRight(u.String(), "/"), ""
}

// checkAPIKey allows none: a tenant may be created first and be given its key later. Until then Connection refuses.
func (m *Module) checkAPIKey(t *Tenant, f faults) {
	if !t.APIKey.IsSet() {
		return
	}
	key := t.APIKey.Reveal()
	f.when(len(key) > maxAPIKeyLength, "servicedesk_api_key", "must be at most %d bytes", maxAPIKeyLength)
	if !usesOAuth(t.Edition) {
		f.when(!headerSafe(key), "servicedesk_api_key", "must be one line of printable characters without spaces")
		return
	}
	oauth, err := parseOAuth(t.APIKey)
	if err != nil {
		f.when(true, "servicedesk_api_key", "%s", err)
		return
	}
	_, wrong := m.canonicalURL(oauth.AccountsURL)
	f.when(wrong != "", "servicedesk_api_key.accounts_url", "%s", wrong)
	f.when(!headerSafe(oauth.ClientID), "servicedesk_api_key.client_id", "is required")
	f.when(!headerSafe(oauth.ClientSecret.Reveal()), "servicedesk_api_key.client_secret", "is required")
	f.when(!headerSafe(oauth.RefreshToken.Reveal()), "servicedesk_api_key.refresh_token", "is required")
}

func usesOAuth(edition string) bool { return edition == Cloud || edition == MSPCloud }

func parseOAuth(key secret.Secret) (OAuth, error) {
	var o OAuth
	if err := decodeStrict([]byte(key.Reveal()), &o); err != nil {
		// The decoder's own words are left out: they may quote the secret.
		return OAuth{}, errors.New(`must be JSON for this edition: {"accounts_url","client_id","client_secret","refresh_token"}`)
	}
	o.AccountsURL = strings.TrimRight(strings.TrimSpace(o.AccountsURL), "/")
	return o, nil
}

func checkWebhookAuth(t *Tenant, f faults) {
	if t.WebhookAuth == nil {
		t.WebhookAuth = slices.Clone(authKinds)
	}
	var canonical []string
	for _, kind := range authKinds {
		if slices.Contains(t.WebhookAuth, kind) {
			canonical = append(canonical, kind)
		}
	}
	for _, kind := range t.WebhookAuth {
		f.when(!slices.Contains(authKinds, kind), "webhook_auth", "must be some of %s", strings.Join(authKinds, ", "))
	}
	f.when(len(canonical) == 0, "webhook_auth", "must be at least one of %s", strings.Join(authKinds, ", "))
	t.WebhookAuth = canonical
}

func checkWebhookSecret(s secret.Secret, f faults) {
	text := s.Reveal()
	f.when(len(text) < minSecretLength || len(text) > maxSecretLength, "webhook_secret",
		"must be %d to %d characters", minSecretLength, maxSecretLength)
	f.when(!headerSafe(text), "webhook_secret", "must be printable ASCII without spaces")
	if encoded, ok := strings.CutPrefix(text, standardPrefix); ok {
		key, err := base64.StdEncoding.DecodeString(encoded)
		f.when(err != nil || len(key) < minStandardKey, "webhook_secret",
			"starts with %s and must go on with the base64 of at least %d bytes", standardPrefix, minStandardKey)
	}
}

// headerSafe reports whether the text can travel in an HTTP header as it is.
func headerSafe(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' })
}

func printable(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) })
}

func orDefault(text, fallback string) string {
	if text == "" {
		return fallback
	}
	return text
}

func sortedSet(texts []string) []string {
	sorted := slices.Clone(texts)
	slices.Sort(sorted)
	return slices.Compact(sorted)
}

// decodeStrict refuses keys that do not exist and anything after the first value.
func decodeStrict(raw []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is something after the value")
	}
	return nil
}
