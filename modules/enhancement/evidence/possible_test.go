package evidence

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func secretText(dice *rand.Rand) string {
	pieces := []string{
		"eyJhbGciOi.eyJhbGciOi", "ghp_abcdefghijklmnopqrst0", "Bearer abcdefgh01234567", "https://u:p@h ", strings.Repeat("123456-", 8), "psk: Winter26", "pin is Winter26!",
		"a", "Z", "7", "42", "123456", "-", "-", " ", " ", ":", "=", "→", "->", "password", "pin: \"x", "psk=«y", "PIN", "paſſwort", "to\u212aen", " is ", "Winter26!", "•••", "\"", "eyJhbGciOi", ".", "_",
		"sk-", "PK_", "pk_", "AKIA", "ghp_", "ghu_", "github_pat_", "glpat-", "xoxb-", "AIza", "hvs.", "whsec_", "dop_v1_", "abcdefgh01234567", "IJKLMNOP89ABCDEF", "://u", "@",
		"Authorization: Basic ", "Bearer ", "DE89", "3704", "0044", "0532 0130", "GB29NWBK60161331926819", "4111 1111 1111 1111", "5555-5555-5555-4444", "123456-123456-123456-123456-",
		"-----BEGIN PRIVATE KEY-----", "aGVsbG8gd29ybGQh", "68656c6c ", "6f:77", "6f726c64", "\u200b", "\r", "\x00", "\x7f", "\xff", "ä", "\n", "\t",
	}
	var b strings.Builder
	for range 1 + dice.IntN(8) {
		b.WriteString(pieces[dice.IntN(len(pieces))])
	}
	return b.String()
}

// What is called impossible is not searched: a match there would be a secret that is printed.
func TestNoSecretIsCalledImpossible(t *testing.T) {
	t.Parallel()
	matched := make([]int, len(secretPatterns))
	dice := rand.New(rand.NewPCG(4, 1))
	for range 12_000 {
		text := secretText(dice)
		lower := strings.ToLower(text)
		for i, p := range secretPatterns {
			if !p.pattern.MatchString(text) {
				continue
			}
			matched[i]++
			require.GreaterOrEqual(t, longestDigits(text), p.digits, "%q matches %s", text, p.pattern)
			require.True(t, p.possible == nil || p.possible(text), "%q matches %s", text, p.pattern)
			require.True(t, p.marks == nil || containsAny(text, p.marks), "%q matches %s", text, p.pattern)
			require.True(t, p.hints == nil || containsAny(lower, p.hints), "%q matches %s", text, p.pattern)
		}
	}
	for i, n := range matched {
		require.Positive(t, n, "no text matched %s", secretPatterns[i].pattern)
	}
}

func TestNoEncodedTextIsCalledImpossible(t *testing.T) {
	t.Parallel()
	base64s, hexes, plains := 0, 0, 0
	dice := rand.New(rand.NewPCG(4, 2))
	for range 12_000 {
		text := secretText(dice) + strings.Repeat("6f:", dice.IntN(40))
		if base64Run.MatchString(text) {
			base64s++
			require.True(t, hasRun(text, 32, base64Class), "%q", text)
		}
		if hexRun.MatchString(text) {
			hexes++
			require.True(t, hasRun(text, 48, hexClass), "%q", text)
		}
		if plainASCII(text) {
			plains++
			for _, r := range text {
				require.False(t, r != '\n' && r != '\t' && (r == '\r' || invisible(r)), "%q", text)
			}
		}
	}
	require.Positive(t, base64s*hexes*plains)
	require.False(t, hasRun("a word", 7, base64Class))
}
