package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"math"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The headers that carry credentials. See docs/security.md and https://www.standardwebhooks.com.
const (
	headerSignature         = "X-ServiceDesk-Signature"
	headerToken             = "X-ServiceDesk-Token"
	headerStandardID        = "Webhook-Id"
	headerStandardTimestamp = "Webhook-Timestamp"
	headerStandardSignature = "Webhook-Signature"
)

// The kinds of credential that a tenant can enable.
const (
	kindHMAC     = "hmac"
	kindToken    = "token"
	kindStandard = "standard"
)

// standardSecretPrefix marks a secret whose key is the base64 behind it, as Standard Webhooks writes them.
const standardSecretPrefix = "whsec_"

// credentials is what a request brought to prove who sent it, decoded once and before any secret is looked at.
type credentials struct {
	signature [][]byte // from X-ServiceDesk-Signature: every reading of it that is 32 bytes long
	token     string
	standard  [][]byte // from Webhook-Signature: every v1 signature
	id        string
	timestamp string
}

func readCredentials(h http.Header) credentials {
	c := credentials{
		signature: decodeSignature(h.Get(headerSignature)),
		token:     h.Get(headerToken),
		id:        h.Get(headerStandardID),
		timestamp: h.Get(headerStandardTimestamp),
	}
	if c.token == "" {
		if scheme, token, ok := strings.Cut(h.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
			c.token = strings.TrimSpace(token)
		}
	}
	for _, part := range strings.Fields(h.Get(headerStandardSignature)) {
		version, value, ok := strings.Cut(part, ",")
		if !ok || version != "v1" || len(c.standard) == maxSignatures {
			continue
		}
		if mac, err := base64.StdEncoding.DecodeString(value); err == nil && len(mac) == sha256.Size {
			c.standard = append(c.standard, mac)
		}
	}
	return c
}

// maxSignatures bounds the work that one header can ask for.
const maxSignatures = 8

// decodeSignature reads hex in either case, with or without "sha256=", and base64: what scripts, proxies and Deluge send.
func decodeSignature(value string) [][]byte {
	value = strings.TrimSpace(value)
	if len(value) > 7 && strings.EqualFold(value[:7], "sha256=") {
		value = value[7:]
	}
	if mac, err := hex.DecodeString(value); err == nil && len(mac) == sha256.Size {
		return [][]byte{mac}
	}
	for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
		if mac, err := encoding.DecodeString(value); err == nil && len(mac) == sha256.Size {
			return [][]byte{mac}
		}
	}
	return nil
}

// verify reports whether the request proves to come from the tenant. It does the same work whatever the tenant's state:
// every secret is tried with every kind, and only then are the tenant's own switches looked at.
func verify(t Tenant, c credentials, body []byte, source netip.Addr, now time.Time, tolerance time.Duration) bool {
	var byHMAC, byToken, byStandard bool
	for _, secret := range t.Secrets {
		byHMAC = matchHMAC(secret, c.signature, body) || byHMAC
		byToken = matchToken(secret, c.token) || byToken
		byStandard = matchStandard(secret, c, body) || byStandard
	}
	byStandard = byStandard && fresh(c.timestamp, now, tolerance)
	ok := byHMAC && slices.Contains(t.Kinds, kindHMAC) ||
		byToken && slices.Contains(t.Kinds, kindToken) ||
		byStandard && slices.Contains(t.Kinds, kindStandard)
	return ok && t.Active && sourceAllowed(t.AllowedSources, source)
}

func matchHMAC(secret string, given [][]byte, body []byte) bool {
	want := sign([]byte(secret), body)
	ok := false
	for _, mac := range given {
		ok = hmac.Equal(mac, want) || ok
	}
	return ok
}

// matchToken compares digests, so that neither the content nor the length of the secret shows in the time taken.
func matchToken(secret, given string) bool {
	want, got := sha256.Sum256([]byte(secret)), sha256.Sum256([]byte(given))
	return hmac.Equal(got[:], want[:]) && given != ""
}

func matchStandard(secret string, c credentials, body []byte) bool {
	if len(c.standard) == 0 || c.id == "" {
		return false
	}
	signed := make([]byte, 0, len(c.id)+len(c.timestamp)+len(body)+2)
	signed = append(signed, c.id...)
	signed = append(signed, '.')
	signed = append(signed, c.timestamp...)
	signed = append(signed, '.')
	signed = append(signed, body...)
	ok := false
	for _, key := range standardKeys(secret) {
		want := sign(key, signed)
		for _, mac := range c.standard {
			ok = hmac.Equal(mac, want) || ok
		}
	}
	return ok
}

// standardKeys gives the keys a Standard Webhooks library would use for the secret: the base64 behind whsec_. A secret
// without the prefix may be base64 itself (the libraries decode it) or plain bytes, so both are tried.
func standardKeys(secret string) [][]byte {
	encoded, prefixed := strings.CutPrefix(secret, standardSecretPrefix)
	key, err := base64.StdEncoding.DecodeString(encoded)
	switch {
	case err == nil && prefixed:
		return [][]byte{key}
	case err == nil:
		return [][]byte{key, []byte(secret)}
	}
	return [][]byte{[]byte(secret)}
}

func sign(key, message []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(message)
	return mac.Sum(nil)
}

func fresh(timestamp string, now time.Time, tolerance time.Duration) bool {
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil {
		return false
	}
	return math.Abs(float64(now.Unix()-seconds)) <= tolerance.Seconds()
}

func sourceAllowed(allowed []netip.Prefix, source netip.Addr) bool {
	if len(allowed) == 0 {
		return true
	}
	source = source.Unmap()
	return slices.ContainsFunc(allowed, func(p netip.Prefix) bool { return p.Contains(source) })
}
