package keyring_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"aiagents/internal/fault"
	"aiagents/internal/keyring"
)

func entry(id string, fill byte) string {
	return id + ":" + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{fill}, keyring.KeySize))
}

func parse(t *testing.T, entries ...string) *keyring.Keyring {
	t.Helper()
	k, err := keyring.Parse(strings.Join(entries, ","))
	require.NoError(t, err)
	return k
}

func dataKey(t *testing.T) *keyring.DataKey {
	t.Helper()
	d, err := keyring.NewDataKey()
	require.NoError(t, err)
	return d
}

func wrap(t *testing.T, k *keyring.Keyring, d *keyring.DataKey, context string) []byte {
	t.Helper()
	blob, err := k.Wrap(d, context)
	require.NoError(t, err)
	return blob
}

func TestTheFirstKeyWrapsAndAllUnwrap(t *testing.T) {
	t.Parallel()
	d := dataKey(t)
	sealed := d.Seal([]byte("secret"), "c")
	old := parse(t, entry("old", 1))
	blob := wrap(t, old, d, "t")

	both := parse(t, entry("new", 2), entry("old", 1))
	require.Equal(t, "new", both.Primary())
	require.Equal(t, []string{"new", "old"}, both.IDs())
	unwrapped, err := both.Unwrap(blob, "t")
	require.NoError(t, err)
	plain, err := unwrapped.Open(sealed, "c")
	require.NoError(t, err)
	require.Equal(t, "secret", string(plain))

	id, err := keyring.WrappedBy(wrap(t, both, unwrapped, "t"))
	require.NoError(t, err)
	require.Equal(t, "new", id)
}

func TestTheSameValueNeverSealsToTheSameBytes(t *testing.T) {
	t.Parallel()
	d := dataKey(t)
	first, second := d.Seal([]byte("secret"), "c"), d.Seal([]byte("secret"), "c")
	require.NotEqual(t, first, second)
}

func TestAMissingKeyIsNamedAndAWrongKeyRefused(t *testing.T) {
	t.Parallel()
	blob := wrap(t, parse(t, entry("k1", 1)), dataKey(t), "t")

	_, err := parse(t, entry("k2", 2)).Unwrap(blob, "t")
	require.ErrorContains(t, err, `"k1", which is not in the keyring (it has: k2)`)
	require.True(t, fault.Is(err, fault.Internal))

	_, err = parse(t, entry("k1", 9)).Unwrap(blob, "t")
	require.ErrorContains(t, err, "does not open")
}

func TestABlobOpensUnderItsOwnContextOnly(t *testing.T) {
	t.Parallel()
	k, d := parse(t, entry("k1", 1)), dataKey(t)
	_, err := k.Unwrap(wrap(t, k, d, "v1|acme|data_key|"), "v1|bolt|data_key|")
	require.Error(t, err)

	sealed := d.Seal([]byte("secret"), "v1|acme|api_key|")
	for _, context := range []string{"v1|acme|webhook_secret|", "v1|bolt|api_key|", "v1|acme|api_key|2", ""} {
		_, err := d.Open(sealed, context)
		require.ErrorContains(t, err, "does not open", context)
	}
	_, err = dataKey(t).Open(sealed, "v1|acme|api_key|")
	require.Error(t, err, "another tenant's key")
}

func TestEveryChangedByteIsRefused(t *testing.T) {
	t.Parallel()
	k, d := parse(t, entry("k1", 1), entry("k3", 3)), dataKey(t)
	wrapped, sealed := wrap(t, k, d, "t"), d.Seal([]byte("secret"), "c")
	_, err := k.Unwrap(wrapped, "t")
	require.NoError(t, err, "the unchanged blob opens")

	for i := range wrapped {
		for bit := range 8 {
			changed := bytes.Clone(wrapped)
			changed[i] ^= 1 << bit
			_, err := k.Unwrap(changed, "t")
			require.Error(t, err, "wrapped key, byte %d bit %d", i, bit)
		}
		_, err := k.Unwrap(wrapped[:i], "t")
		require.Error(t, err, "wrapped key cut to %d bytes", i)
	}
	for i := range sealed {
		for bit := range 8 {
			changed := bytes.Clone(sealed)
			changed[i] ^= 1 << bit
			_, err := d.Open(changed, "c")
			require.Error(t, err, "sealed value, byte %d bit %d", i, bit)
		}
		_, err := d.Open(sealed[:i], "c")
		require.Error(t, err, "sealed value cut to %d bytes", i)
	}
}

func TestParseNamesEveryFaultAndHowToMakeAKey(t *testing.T) {
	t.Parallel()
	const canary = "Y2FuYXJ5LWtleS1tYXRlcmlhbA" // 20 bytes of "key material"
	for text, want := range map[string]string{
		"":                                  "no encryption key is set",
		canary:                              "entry 1 has no id",
		"k 1:" + canary:                     "entry 1 has an id",
		"k1:" + canary + "!":                "entry 1 (k1) is not base64",
		"k1:" + canary:                      "entry 1 (k1) has 19 bytes instead of 32",
		entry("a", 1) + ",b:" + canary:      "entry 2 (b) has 19 bytes",
		entry("a", 1) + "," + entry("a", 2): "entry 2 (a) repeats an id",
		entry("a", 1) + ",":                 "entry 2 has no id",
	} {
		_, err := keyring.Parse(text)
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, "openssl rand -base64 32")
		require.True(t, fault.Is(err, fault.Invalid))
		require.NotContains(t, err.Error(), canary)
	}
	_, err := keyring.Parse("x,k1:short")
	require.ErrorContains(t, err, "entry 1")
	require.ErrorContains(t, err, "entry 2")
}

func TestParseTakesBothAlphabetsOfBase64(t *testing.T) {
	t.Parallel()
	raw := bytes.Repeat([]byte{0xfb, 0xff}, 16)
	d := dataKey(t)
	blob := wrap(t, parse(t, "k:"+base64.StdEncoding.EncodeToString(raw)), d, "t")
	_, err := parse(t, " k:"+base64.RawURLEncoding.EncodeToString(raw)+" ").Unwrap(blob, "t")
	require.NoError(t, err)
}

func TestNoKeyMaterialIsPrinted(t *testing.T) {
	t.Parallel()
	k := parse(t, entry("k1", 'A'))
	d, err := k.Unwrap(wrap(t, k, dataKey(t), "t"), "t")
	require.NoError(t, err)
	type holder struct {
		k *keyring.Keyring
		d *keyring.DataKey
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x"} {
		require.NotContains(t, fmt.Sprintf(verb, k), "65 65", verb)
		require.NotContains(t, strings.ToLower(fmt.Sprintf(verb, k)), "4141", verb)
		require.Equal(t, "data key", fmt.Sprintf(verb, d), verb)
		require.NotContains(t, fmt.Sprintf(verb, holder{k, d}), "65 65", verb)
	}
	asJSON, err := json.Marshal([]any{k, d})
	require.NoError(t, err)
	require.JSONEq(t, `[{},{}]`, string(asJSON))
}

func FuzzUnwrapAndOpen(f *testing.F) {
	k, err := keyring.Parse(entry("k1", 1))
	require.NoError(f, err)
	d, err := keyring.NewDataKey()
	require.NoError(f, err)
	wrapped, err := k.Wrap(d, "t")
	require.NoError(f, err)
	f.Add([]byte{})
	f.Add([]byte{1, 255, 'k'})
	f.Add(wrapped[:len(wrapped)-1])
	f.Add(d.Seal(nil, "c"))
	f.Fuzz(func(t *testing.T, blob []byte) {
		if bytes.Equal(blob, wrapped) {
			return
		}
		_, err := k.Unwrap(blob, "t")
		require.Error(t, err)
		_, err = d.Open(blob, "another context")
		require.Error(t, err)
	})
}
