package synthesis

import (
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"aiagents/modules/enhancement/evidence"
)

// wordPattern says what scanWords does.
var wordPattern = regexp.MustCompile(`[\p{L}\p{M}\p{N}_]+(?:[-._:/\\@+=~#'’,&%$]{1,3}[\p{L}\p{M}\p{N}_]+)*`)

// mixedText is made of pieces of what the expressions look for, often enough in an order that one of them matches.
func mixedText(dice *rand.Rand) string {
	pieces := []string{
		"a", "B", "f0", "12", "7", "255", "_", "é", "e\u0301", "٤", "ſ", "\u212a", "\xff", "’", "-", "-", ".", ".", ":", ":", "/", `\`, "@", "+", "=", "~", "#",
		"'", ",", "&", "%", "$", " ", " ", "\n", "\t", "1.", "2)", "*", "•", "step 1", "Schritt 2", "PASO 3", "ſtep 4", "10.2.3.4", "00:1a:2b-3c:4d:5e",
		"fe80::1%e0", "001a.2b3c.4d5e", "10.0.0.0/8", "hc-ex-02", "EX.local", "a.b.example", strings.Repeat("Qx0/", 9), strings.Repeat("d=_", 7), "wxyz",
		"Delete ", "restart ", "löschen", "and ", "rm -", "USER_1", "S-HOST_2", `C:\Users\bob`, `HC\bob`, "/home/bob", "user: bob", "Tel. 040 5550 1234", "+49 40 5550", "a@b.example", `\\srv`,
		"password: Xy12", "is ", "DE89 3704 0044 0532 0130 00", "4111 1111 1111 1111", "sk-", "ghp_", "://u:", "pin", "->", "aGVsbG8gd29ybGQh", "68656c6c ", "6f:77",
	}
	var b strings.Builder
	for range 1 + dice.IntN(9) {
		b.WriteString(pieces[dice.IntN(len(pieces))])
	}
	return b.String()
}

const mixedTexts = 8_000

func TestWordsAreThoseOfTheirExpression(t *testing.T) {
	t.Parallel()
	dice := rand.New(rand.NewPCG(3, 1))
	for range mixedTexts {
		text := mixedText(dice)
		require.Equal(t, wordPattern.FindAllString(text, -1), scanWords(text), "%q", text)
	}
}

func FuzzWords(f *testing.F) {
	f.Add("a-_b.c---d----e’f @g\xff_")
	f.Fuzz(func(t *testing.T, text string) {
		require.Equal(t, wordPattern.FindAllString(text, -1), scanWords(text))
	})
}

// What is called impossible is not searched: a match there would get past the grounding or leave in the prompt.
func TestNothingThatMatchesIsCalledImpossible(t *testing.T) {
	t.Parallel()
	ofText := func(possible func(string) bool) func(string, string) bool {
		return func(s, _ string) bool { return possible(s) }
	}
	ofPattern := func(p *evidence.Pattern) func(string, string) bool {
		return func(_, lower string) bool { return p.Possible(lower) }
	}
	cases := map[string]struct {
		pattern  *regexp.Regexp
		possible func(s, lower string) bool
	}{
		"address":  {addressPattern, ofText(addressPossible)},
		"blob":     {longBlob, ofText(blobPossible)},
		"ordinal":  {ordinal, ordinalPossible},
		"domain":   {domainPattern, ofText(domainPossible)},
		"ids":      {bracketedID, ofText(func(s string) bool { return strings.ContainsAny(s, "[(") })},
		"share":    {serverPath, ofText(func(s string) bool { return strings.Contains(s, `\\`) })},
		"alias":    {aliasPattern, ofText(func(s string) bool { return strings.Contains(s, "_") })},
		"mail":     {mailPattern.Regexp, ofPattern(mailPattern)},
		"unc":      {uncPattern.Regexp, ofPattern(uncPattern)},
		"phone":    {phonePattern.Regexp, ofPattern(phonePattern)},
		"ours":     {placeholder.Regexp, ofPattern(placeholder)},
		"change":   {ordersChange.Regexp, ofPattern(ordersChange)},
		"approval": {ordersApproval.Regexp, ofPattern(ordersApproval)},
		"last":     {lastApproval.Regexp, ofPattern(lastApproval)},
		"destroys": {destroys.Regexp, ofPattern(destroys)},
		"words":    {regexp.MustCompile(`(?i)(?:hc-ex-02|user)`), func(_, lower string) bool { return wordsPossible([]string{"HC-EX-02", "User"})(lower) }},
	}
	for i, p := range userPatterns {
		cases["user "+string(rune('0'+i))] = struct {
			pattern  *regexp.Regexp
			possible func(s, lower string) bool
		}{p.Regexp, func(s, lower string) bool { return strings.ContainsAny(s, `:=\/`) && p.Possible(lower) }}
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dice := rand.New(rand.NewPCG(3, 2))
			matched := 0
			for range mixedTexts {
				text := mixedText(dice)
				if name == "ids" && dice.IntN(2) == 0 {
					text = "[T-" + text + "]"
				}
				if c.pattern.MatchString(text) {
					matched++
					require.True(t, c.possible(text, strings.ToLower(text)), "%q", text)
				}
			}
			require.Positive(t, matched, "the texts tested nothing")
			require.False(t, c.possible("nothing of the kind", "nothing of the kind"))
		})
	}
}

func TestFormsOfTokensBeginAsTheyAreCheckedFor(t *testing.T) {
	t.Parallel()
	dice := rand.New(rand.NewPCG(3, 3))
	for range mixedTexts {
		text := mixedText(dice)
		for _, p := range []*regexp.Regexp{plainNumber, unitNumber, dateOrTime} {
			require.False(t, p.MatchString(text) && !startsWithDigit(text), "%q", text)
		}
		require.Equal(t, separators.Split(text, -1), splitParts(text), "%q", text)
		if ascii := strings.ToValidUTF8(text, ""); asciiOnly(ascii) {
			require.Equal(t, dashes.Replace(ascii), normalise(ascii))
		}
		if a, ok := anyAddress(text); ok {
			require.True(t, addressLike(text), "%q", text)
			got, _ := parseAddress(text)
			require.Equal(t, a, got)
		}
	}
}
