package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const testSecret = "correct-horse-battery-staple"

var (
	testBody = []byte(`{"tenant_id":"acme","ticket_id":"4711"}`)
	testNow  = time.Unix(1614265330, 0)
)

func testTenant(kinds ...string) Tenant {
	if len(kinds) == 0 {
		kinds = []string{kindHMAC, kindToken, kindStandard}
	}
	return Tenant{ID: "acme", Active: true, Secrets: []string{testSecret, "another-secret-that-nobody-has"}, Kinds: kinds}
}

func mac(secret string, message []byte) []byte {
	h := hmac.New(sha256.New, []byte(secret))
	h.Write(message)
	return h.Sum(nil)
}

func check(t Tenant, h http.Header, body []byte) bool {
	return verify(t, readCredentials(h), body, netip.MustParseAddr("198.51.100.7"), testNow, 5*time.Minute)
}

func header(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Set(pairs[i], pairs[i+1])
	}
	return h
}

func TestTheSignatureIsTakenInEveryUsualSpelling(t *testing.T) {
	t.Parallel()
	sum := mac(testSecret, testBody)
	for name, value := range map[string]string{
		"hex":           hex.EncodeToString(sum),
		"upper hex":     strings.ToUpper(hex.EncodeToString(sum)),
		"sha256=hex":    "sha256=" + hex.EncodeToString(sum),
		"SHA256=HEX":    "SHA256=" + strings.ToUpper(hex.EncodeToString(sum)),
		"base64":        base64.StdEncoding.EncodeToString(sum),
		"sha256=base64": "sha256=" + base64.StdEncoding.EncodeToString(sum),
		"raw base64":    base64.RawURLEncoding.EncodeToString(sum),
		"with spaces":   "  " + hex.EncodeToString(sum) + " ",
	} {
		require.True(t, check(testTenant(), header(headerSignature, value), testBody), name)
	}
}

func TestAWrongSignatureIsRefused(t *testing.T) {
	t.Parallel()
	sum := mac(testSecret, testBody)
	for i := range sum {
		for bit := range 8 {
			flipped := append([]byte(nil), sum...)
			flipped[i] ^= 1 << bit
			require.False(t, check(testTenant(), header(headerSignature, hex.EncodeToString(flipped)), testBody))
		}
	}
	for name, value := range map[string]string{
		"empty": "", "short": hex.EncodeToString(sum[:31]), "long": hex.EncodeToString(append(sum, 0)),
		"other secret": hex.EncodeToString(mac("other", testBody)), "not hex": strings.Repeat("z", 64), "prefix only": "sha256=",
	} {
		require.False(t, check(testTenant(), header(headerSignature, value), testBody), name)
	}
	require.False(t, check(testTenant(), header(headerSignature, hex.EncodeToString(sum)), append(testBody, ' ')),
		"the signature covers the raw bytes")
}

func TestTheTokenComesInEitherHeader(t *testing.T) {
	t.Parallel()
	require.True(t, check(testTenant(), header(headerToken, testSecret), testBody))
	require.True(t, check(testTenant(), header("Authorization", "Bearer "+testSecret), testBody))
	require.True(t, check(testTenant(), header("Authorization", "bearer "+testSecret), testBody))
	require.False(t, check(testTenant(), header(headerToken, testSecret+"x"), testBody))
	require.False(t, check(testTenant(), header("Authorization", "Basic "+testSecret), testBody))
	require.False(t, check(testTenant(), header(headerToken, ""), testBody))
}

// The vector of the Standard Webhooks specification.
func TestStandardWebhooksVector(t *testing.T) {
	t.Parallel()
	tenant := testTenant()
	tenant.Secrets = []string{"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}
	body := []byte(`{"test": 2432232314}`)
	h := header(headerStandardID, "msg_p5jXN8AQM9LWM0D4loKWxJek", headerStandardTimestamp, "1614265330",
		headerStandardSignature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
	require.True(t, check(tenant, h, body))

	h.Set(headerStandardSignature, "v1a,xxxx v1,AAAA v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
	require.True(t, check(tenant, h, body), "one good signature among several is enough: senders rotate")

	tenant.Secrets = []string{"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}
	require.True(t, check(tenant, h, body), "the libraries decode a secret without the prefix too")

	h.Set(headerStandardTimestamp, "1614265331")
	require.False(t, check(tenant, h, body), "the timestamp is signed")
}

func TestAStandardSignatureAges(t *testing.T) {
	t.Parallel()
	for offset, want := range map[time.Duration]bool{
		0: true, 5 * time.Minute: true, -5 * time.Minute: true, 301 * time.Second: false, -301 * time.Second: false,
	} {
		stamp := strconv.FormatInt(testNow.Add(offset).Unix(), 10)
		sum := mac(testSecret, []byte("id."+stamp+"."+string(testBody)))
		h := header(headerStandardID, "id", headerStandardTimestamp, stamp,
			headerStandardSignature, "v1,"+base64.StdEncoding.EncodeToString(sum))
		require.Equal(t, want, check(testTenant(), h, testBody), "offset %s", offset)
	}
}

func TestOnlyEnabledKindsCount(t *testing.T) {
	t.Parallel()
	byToken := header(headerToken, testSecret)
	byHMAC := header(headerSignature, hex.EncodeToString(mac(testSecret, testBody)))
	require.True(t, check(testTenant(kindToken), byToken, testBody))
	require.False(t, check(testTenant(kindHMAC), byToken, testBody))
	require.True(t, check(testTenant(kindHMAC), byHMAC, testBody))
	require.False(t, check(testTenant(kindToken), byHMAC, testBody))
}

func TestAnInactiveTenantAndAForeignSourceAreRefused(t *testing.T) {
	t.Parallel()
	byToken := header(headerToken, testSecret)
	inactive := testTenant()
	inactive.Active = false
	require.False(t, check(inactive, byToken, testBody))

	ranged := testTenant()
	ranged.AllowedSources = []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}
	require.False(t, check(ranged, byToken, testBody))
	ranged.AllowedSources = append(ranged.AllowedSources, netip.MustParsePrefix("198.51.100.0/24"))
	require.True(t, check(ranged, byToken, testBody))
	mapped := verify(ranged, readCredentials(byToken), testBody, netip.MustParseAddr("::ffff:198.51.100.7"), testNow, time.Minute)
	require.True(t, mapped, "an IPv4 address in IPv6 form is the same address")
}

func TestBothSecretsCountDuringARotation(t *testing.T) {
	t.Parallel()
	tenant := testTenant()
	tenant.Secrets = []string{"the-new-secret", testSecret}
	require.True(t, check(tenant, header(headerToken, testSecret), testBody))
	require.True(t, check(tenant, header(headerToken, "the-new-secret"), testBody))
}

func FuzzCredentials(f *testing.F) {
	f.Add("sha256=00", "token", "v1,AAAA", "1614265330")
	f.Add(strings.Repeat("a", 64), "", "v1, v1,v1,", "-1")
	f.Fuzz(func(t *testing.T, signature, token, standard, timestamp string) {
		h := http.Header{
			headerSignature: {signature}, headerToken: {token}, headerStandardID: {"id"},
			headerStandardSignature: {standard}, headerStandardTimestamp: {timestamp},
		}
		if token != testSecret && check(testTenant(), h, testBody) {
			t.Fatalf("accepted signature %q, standard %q", signature, standard)
		}
	})
}
