package retrieval

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPlainText(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, want string }{
		{"a < b and <path> stay", "a < b and <path> stay"},
		{"<div>Hello&nbsp;<b>world</b><br>second</div><script>x()</script>", "Hello world\nsecond"},
		{"<p>one</p><p></p><p>two</p>", "one\n\ntwo"},
		{"<table><tr><td>a</td><td>b</td></tr></table>", "a b"},
		{"nul\x00 and \xff", "nul and \uFFFD"},
	} {
		require.Equal(t, c.want, plainText(c.in), c.in)
	}
}

func TestUsable(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "Done.", "Issue resolved, closing ticket", "n/a", "Fixed - thanks", "Problem gelöst", "   "} {
		require.False(t, usable(text), text)
	}
	for _, text := range []string{"Restarted print spooler", "Cleared cached credentials and mapped the drive again", "Route auf VPN-Gateway neu gesetzt"} {
		require.True(t, usable(text), text)
	}
}

func TestExcerptIsThePassageThatSharesMost(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("Nothing of interest is said here at all. ", 30) +
		"The VPN client shows error 809 after the update. " + strings.Repeat("More filler follows in this place. ", 30)
	got := newExcerpter(Query{Subject: "VPN error 809 after updating"}).best(text)

	require.Contains(t, got, "error 809")
	require.LessOrEqual(t, len(got), excerptBytes)
	require.Equal(t, "short text", newExcerpter(Query{Subject: "other"}).best("short text"))
	require.Equal(t, []string{"Call 10.2.3.4 e.g. today.", "Then wait."}, sentences("Call 10.2.3.4 e.g. today. Then wait."))
	for _, p := range passages(strings.Repeat("é", 5000), 100) {
		require.LessOrEqual(t, len(p), 100)
		require.Empty(t, strings.Trim(p, "é"), "cut at a rune")
	}
}

func TestSections(t *testing.T) {
	t.Parallel()
	title, sections := SectionsFromMarkdown("---\ntags: x\n---\n# VPN guide\nIntro [here](http://x)\n## Error 809\nOpen UDP 500\n```\n# no heading\n```\n### Empty\n")
	require.Equal(t, "VPN guide", title)
	require.Equal(t, []Section{{"", "Intro here"}, {"Error 809", "Open UDP 500\n```\n# no heading\n```"}}, sections)

	title, sections = SectionsFromHTML("<html><head><title>From head</title><style>p{}</style></head><body><p>First</p><h2>Part <i>two</i></h2><ul><li>a<li>b</ul></body></html>")
	require.Equal(t, "From head", title)
	require.Equal(t, []Section{{"", "First"}, {"Part two", "a\nb"}}, sections)

	title, sections = sectionsFromText("Printers\n\nUse the blue one.")
	require.Equal(t, "Printers", title)
	require.Equal(t, []Section{{"", "Use the blue one."}}, sections)
	require.Equal(t, "vpn setup guide", titleFromName("docs/vpn-setup_guide.md"))
}
