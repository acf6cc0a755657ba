package note

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"aiagents/modules/enhancement/evidence"
)

// everywhere puts a text into every field that reaches a note, in the evidence and in the answer.
func everywhere(s string) Input {
	in := input()
	b, a := &in.Bundle, &in.Answer
	b.Similar[0] = evidence.SimilarTicket{ID: "T-" + s, Subject: s, Excerpt: s, Resolution: s, ResolvedAt: noon}
	b.Articles[0] = evidence.Article{ID: "KB-" + s, Title: s, Section: s, Excerpt: s, URL: s}
	b.Systems[0] = evidence.System{ID: "S-" + s, Hostname: s, IP: s, Role: s, Location: s, MatchedBy: s, How: s}
	b.Monitoring[0] = evidence.Observation{ID: "M-" + s, Provider: s, Host: s, Summary: s, Severity: s, URL: s}
	b.Storm = &evidence.Storm{Count: 3, Tickets: []string{s, s}}
	b.Sources[0] = evidence.SourceReport{Name: s, Outcome: evidence.Failed, Reason: s}
	a.LikelyCause = &evidence.Claim{Text: s, EvidenceIDs: []string{s}}
	a.Evidence[0] = evidence.Claim{Terms: []string{s}, EvidenceIDs: []string{s}}
	a.Alternatives[0] = evidence.Claim{Text: s, EvidenceIDs: []string{s}}
	a.Steps[0] = evidence.Step{Text: s, Safety: evidence.Safety(s), EvidenceIDs: []string{s}}
	a.Similar[0] = evidence.Remark{ID: "T-" + s, Why: s}
	in.Model = s
	return in
}

// The texts follow OWASP's cheat sheet on filter evasion.
var crossSiteScripts = []string{
	`<script>alert(1)</script>`, `<SCRIPT SRC=//evil.example/x.js></SCRIPT>`, `<img src=x onerror=alert(1)>`, `<IMG SRC="javascript:alert('x');">`,
	`<IMG """><SCRIPT>alert(1)</SCRIPT>">`, `<IMG SRC=&#106;&#97;&#118;&#97;:alert(1)>`, `<svg/onload=alert(1)>`, `<body onload=alert(1)>`,
	`<iframe src="javascript:alert(1)">`, `<<SCRIPT>alert(1);//<</SCRIPT>`, `<SCRIPT/XSS SRC="x">`, `<scr<script>ipt>alert(1)</scr</script>ipt>`,
	`"><img src=x>`, `'-alert(1)-'`, `<math><mi//xlink:href="data:x,<script>alert(4)</script>">`, `<details open ontoggle=alert(1)>`,
	`<a href="https://evil.example">x</a>`, `<base href="https://evil.example/">`, `<meta http-equiv="refresh" content="0;url=https://evil.example">`,
	`<link rel=stylesheet href=//evil.example/x.css>`, `<table background="javascript:alert(1)">`, `<div style="background:url(https://evil.example)">`,
	`<p style="x">p</p>`, `<strong onclick=alert(1)>s</strong>`, `</p></li></ul><h1>x</h1>`, `<!--[if gte IE 4]><SCRIPT>alert(1)</SCRIPT><![endif]-->`,
	`<![CDATA[<script>alert(1)</script>]]>`, `&lt;script&gt;alert(1)&lt;/script&gt;`, `<p>&lt;img src=x onerror=alert(1)&gt;</p>`, `<form action=//evil.example><input>`,
	`<noscript><p title="</noscript><img src=x onerror=alert(1)>">`, `<template><script>alert(1)</script></template>`, "<img\x00src=x>", "<\u200bscript>alert(1)</script>",
	`<textarea><script>alert(1)</script>`, `![x](https://evil.example/x)`, `[x]: https://evil.example`, `<https://evil.example>`, `\x3cscript\x3e`, `{{7*7}}`,
}

func TestNoMarkupOfOthersSurvives(t *testing.T) {
	t.Parallel()
	for _, s := range crossSiteScripts {
		in := everywhere(s)
		html, text := Render(in)
		holds(t, in, html, text)
		for _, live := range []string{"<script", "<img", "<svg", "<a ", "<iframe", "onerror=alert(1)>", "href=\""} {
			require.NotContains(t, strings.ToLower(html), live, s)
		}
	}
}

// TestTheInjectionCorpus prints what the synthesis would have stopped: the renderer must hold even if it had not.
func TestTheInjectionCorpus(t *testing.T) {
	t.Parallel()
	file, err := os.ReadFile("../synthesis/testdata/injection.json")
	require.NoError(t, err)
	var corpus []struct{ Name, Text, Says string }
	require.NoError(t, json.Unmarshal(file, &corpus))
	require.GreaterOrEqual(t, len(corpus), 60)
	for _, sample := range corpus {
		for _, s := range []string{sample.Text, sample.Says} {
			in := everywhere(s)
			html, text := Render(in)
			holds(t, in, html, text)
			for _, secret := range []string{"CANARY0123456789", "Falcon-Canary", "Tiger-Canary"} {
				if s == sample.Text {
					require.NotContains(t, html, secret, sample.Name)
				}
			}
		}
	}
}

func FuzzRender(f *testing.F) {
	for _, s := range crossSiteScripts {
		f.Add(s, 300)
	}
	f.Add("password: Canary-Secret-9", 0)
	f.Add("AIA-0123456789AB \u202e\xff", 100)
	f.Fuzz(func(t *testing.T, s string, words int) {
		in := everywhere(s)
		in.MaxWords = words
		html, text := Render(in)
		for _, tag := range anyTag.FindAllString(html, -1) {
			require.Regexp(t, allowedTag, tag)
		}
		require.NotContains(t, html, "://")
		require.Contains(t, html, "Ref "+reference)
		require.LessOrEqual(t, Words(text), DefaultWords)
		require.LessOrEqual(t, len(html), maxBytes)
		_ = Text(in, 60)
	})
}
