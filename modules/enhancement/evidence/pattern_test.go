package evidence

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A pattern must never be called impossible where it matches: that would let through what it guards against.
func TestAPatternThatMatchesIsPossible(t *testing.T) {
	t.Parallel()
	for expr, hints := range map[string][]string{
		`abc`: {"abc"},
		`(?i)\b(?:ignor\w*|forget)\b.{0,9}\brules?`: {"ignor", "forget"},
		`(?i)\|\s*(?:ba|z)?sh\b`:                    {"|"},
		`(?i)x?y*`:                                  nil,
		`(?i)kiss|[0-9]+`:                           nil,
		`(?i)(?:stop|ring){2}`:                      {"stop", "ring"},
		`(?i)send.*\S@\S`:                           {"@"},
	} {
		p := MustPattern(expr)
		require.Equal(t, hints, p.hints, expr)
		dice := rand.New(rand.NewPCG(1, 2))
		matched := 0
		for range 20_000 {
			text := randomText(dice)
			if p.MatchString(text) {
				matched++
				require.True(t, p.Possible(strings.ToLower(text)), "%q matches %s", text, expr)
			}
		}
		require.Positive(t, matched, "no text matched %s: the test tested nothing", expr)
	}
	require.False(t, MustPattern(`(?i)forget`).Possible("nothing of the kind"))
	require.True(t, MustPattern(`(?i)password`).Possible(strings.ToLower("paſſword")), "the regular expression matches it too")
}

// randomText is made of what the patterns of the test consist of, in either case and with letters that only look the same.
func randomText(dice *rand.Rand) string {
	parts := []string{"abc", "ignore", "FORGET", " ", " ", "rule", "Rules", "|", "sh", "baSH", "ſh", "x", "Y", "kiss", "\u212aiſs", "7", "stop", "RING", "send", "a@b", "@"}
	var b strings.Builder
	for range 1 + dice.IntN(6) {
		b.WriteString(parts[dice.IntN(len(parts))])
	}
	return b.String()
}
