package retrieval

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func texts(tokens []token) string {
	var out []string
	for _, t := range tokens {
		out = append(out, t.text)
	}
	return strings.Join(out, " ")
}

func TestTokenise(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"Error 0x80070035 on FS-01":                  "error 0x80070035 on fs-01 fs 01",
		"550 5.7.1 relay denied":                     "550 5.7.1 relay denied",
		"ORA-01555: snapshot too old":                "ora-01555 ora 01555 snapshot too old",
		"ping 10.2.3.4 fails":                        "ping 10.2.3.4 10 fails",
		"fe80::1ff:fe23:4567:890a":                   "fe80::1ff:fe23:4567:890a fe80 1ff fe23 4567 890a",
		"DFSClient.close failed":                     "dfsclient.close dfs client close failed",
		`open \\FS-01\Finance\Q3.xlsx`:               "open fs-01 fs 01 finance q3.xlsx q3 xlsx",
		"https://vpn.example.com/login?x=1":          "https vpn.example.com vpn example com login",
		"mail bob.lee@example.com":                   "mail bob.lee bob lee example.com example com",
		"L'imprimante qu’il a, d'Outlook, I've":      "imprimante qu il outlook ve",
		"don't re-open the user's PC":                "don re open the user pc",
		"at 2026-03-01 12:33:01 and 2026-03-01T":     "at and",
		"Übertragung Ærø ﬁle ＶＰＮ Straße":             "ubertragung æro file vpn strasse",
		"网络连接失败":                                     "网络 络连 连接 接失 失败",
		"KB5034441 broke Windows 11 23H2":            "kb5034441 broke windows 11 23h2",
		"VMs and URLs on SeaMonkey 2.53.18.1":        "vms and urls on seamonkey sea monkey 2.53.18.1 53 18",
		"f00d" + strings.Repeat("a", 100) + " short": "short",
		"... --- ' ’":                                "",
	} {
		require.Equal(t, want, texts(tokenise(text)), text)
	}
}

func TestTokeniseKeepsTheTopOfAStackTraceOnly(t *testing.T) {
	t.Parallel()
	trace := "java.io.IOException: broken\n" + strings.Repeat("\tat org.example.Frame.run(Frame.java:12)\n", 40) + "Caused by: disk full\n"
	got := texts(tokenise(trace))

	require.Equal(t, maxStackFrames, strings.Count(got, "org.example.frame.run"))
	require.Contains(t, got, "disk full", "what follows the trace is read")
	require.Contains(t, texts(tokenise("We met at the office (room 3).")), "room", "prose is no stack frame")
}

func TestTokeniseIsBounded(t *testing.T) {
	t.Parallel()
	require.Len(t, tokenise(strings.Repeat("word ", 100_000)), maxFieldTerms)
	require.NotPanics(t, func() { tokenise("\xff\xfe" + strings.Repeat("é", maxFieldBytes)) })
}

func FuzzTokenise(f *testing.F) {
	f.Add("FS-01 \\\\x\\y 0x1 a@b 10.0.0.1:80 don't 2016-01-01")
	f.Fuzz(func(t *testing.T, text string) {
		for _, token := range tokenise(text) {
			require.NotEmpty(t, token.text)
			require.NotContains(t, token.text, " ", "a term never holds a space: tags rely on it")
		}
	})
}

func TestAnalyseStemsByLanguage(t *testing.T) {
	t.Parallel()
	same := func(a, b string) {
		t.Helper()
		require.Equal(t, analyse("", a), analyse("", b), "%q and %q", a, b)
	}
	same("the printers are printing", "printer printed")
	same("Die Verbindung ist nicht stabil", "Die Verbindungen sind nicht stabil")
	require.NotEqual(t, analyse("", "printer"), analyse("", "scanner"))
	require.Empty(t, analyse("", "the and of"), "stop words are no terms")
	require.NotEqual(t, analyse("vpn", ""), analyse("", "vpn"), "fields are kept apart")
}

func TestVectorRoundTrip(t *testing.T) {
	t.Parallel()
	v := analyse("VPN down", "vpn client VPN error 809").tagged(tagSolved)

	require.Equal(t, v, decode(v.encode()))
	require.True(t, v.hasAll([]term{tagTerm(tagSolved)}))
	require.False(t, v.hasAll([]term{tagTerm(tagSolved), tagTerm("other")}))
	require.Len(t, decode(v.encode()[:entrySize+2]), 1, "a torn record is left out")
	require.Equal(t, uint8(255), analyse("", strings.Repeat("vpn ", 300))[0].body, "counts saturate")
}
