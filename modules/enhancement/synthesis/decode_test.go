package synthesis

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"aiagents/modules/enhancement/evidence"
)

func TestWrappingsAreForgiven(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{
		"plain":          `{"verdict":"information","likely_cause":{"text":"Full disk.","evidence_ids":["T-1"]},"steps":[]}`,
		"fenced":         "Here you are:\n```json\n{\"verdict\":\"information\",\"likely_cause\":{\"text\":\"Full disk.\",\"evidence_ids\":[\"T-1\"]}}\n```\nGood luck!",
		"prose around":   `Sure! {"verdict":"Information","likely_cause":{"text":"Full disk.","evidence_ids":["T-1"]}} I hope this helps.`,
		"thinking":       `<think>{"verdict":"?"}</think>{"verdict":"information","likely_cause":{"text":"Full disk.","evidence_ids":["T-1"]}}`,
		"wrapped":        `{"ticket_answer":{"verdict":"information","likely_cause":{"text":"Full disk.","evidence_ids":["T-1"]}}}`,
		"byte order":     "\ufeff" + `{"verdict":"information","likely_cause":{"text":"Full disk.","evidence_ids":["T-1"]}}`,
		"string for ids": `{"verdict":"information","likely_cause":{"text":"Full disk.","evidence_ids":"[T-1]"},"evidence":null}`,
		"list for text":  `{"verdict":"information","likely_cause":[{"text":["Full","disk."],"evidence_ids":["T-1"]}]}`,
		"markdown":       `{"verdict":"information","likely_cause":{"text":"**Full** disk.","evidence_ids":["T-1"]}}`,
		"hidden text":    `{"verdict":"information","likely_cause":{"text":"Full<!-- x --> d\u200bisk.<img src=x>","evidence_ids":["T-1"]}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, err := decodeAnswer(content)
			require.NoError(t, err)
			require.Equal(t, evidence.Information, d.verdict)
			require.Equal(t, evidence.Claim{Text: "Full disk.", EvidenceIDs: []string{"T-1"}}, d.cause)
		})
	}
}

func TestListsAreForgivenAndBounded(t *testing.T) {
	t.Parallel()
	d, err := decodeAnswer(`{"verdict":"action suggested","evidence":"One bullet","steps":["Look","Act",{"text":"Go","safety":"Read-Only"},{"safety":"x"}],
		"similar":["T-1",{"id":"T-2","why":"same"},{"why":"no id"}],"alternatives":[{"text":"a"},{"text":"b"},{"text":"c"}]}`)
	require.NoError(t, err)
	require.Equal(t, []evidence.Claim{{Text: "One bullet"}}, d.evidence)
	require.Equal(t, []evidence.Step{{Text: "Look", Safety: evidence.NeedsApproval}, {Text: "Act", Safety: evidence.NeedsApproval}, {Text: "Go", Safety: evidence.ReadOnly}},
		d.steps, "a step without a tag counts as the least safe")
	require.Equal(t, []evidence.Remark{{ID: "T-1"}, {ID: "T-2", Why: "same"}}, d.similar)
	require.Len(t, d.alternatives, maxAlternatives)
}

func TestUnusableAnswersAreNamed(t *testing.T) {
	t.Parallel()
	for content, want := range map[string]string{
		"":                          errNotJSON.Error(),
		"I cannot help":             errNotJSON.Error(),
		`{"verdict":"information"`:  errNotJSON.Error(),
		`["information"]`:           errNotJSON.Error(),
		`{}`:                        "the field verdict was missing",
		`{"answer":{"text":"x"}}`:   "the field verdict was missing",
		`{"verdict":"great"}`:       "verdict must be one of",
		`{"verdict":7}`:             "verdict must be one of",
		`{"verdict":"information"}`: errEmpty.Error(),
		`{"type":"object","properties":{"verdict":{"type":"string"}},"required":["verdict"]}`: errSchemaEcho.Error(),
		`{"verdict":{"type":"string","enum":["a"]},"likely_cause":{}}`:                        errSchemaEcho.Error(),
		`{"verdict":"information","x":"` + strings.Repeat("x", maxContent) + `"}`:             errTruncated.Error(),
	} {
		_, err := decodeAnswer(content)
		require.ErrorContains(t, err, want, "%.60s", content)
	}
	_, err := decodeAnswer(`{"verdict":"inconclusive"}`)
	require.NoError(t, err)
}

func TestSentencesEndWhereTheyEnd(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"One. Two! Three?":             {"One.", "Two!", "Three?"},
		"Use e.g. the runbook. Done.":  {"Use e.g. the runbook.", "Done."},
		"Prüfen Sie z. B. den Dienst.": {"Prüfen Sie z. B. den Dienst."},
		"1. Check it. 2 left.":         {"1. Check it.", "2 left."},
		"Host 10.2.3.4 is v1.2 now":    {"Host 10.2.3.4 is v1.2 now"},
		"a\nb":                         {"a", "b"},
		"停止。开始。":                       {"停止。", "开始。"},
		"":                             nil,
	} {
		require.Equal(t, want, sentences(text), text)
	}
	require.Equal(t, "One.", clipSentences("One. Two is long", 8))
	require.Equal(t, "Long …", clipSentences("Long sentence", 8))
}

func FuzzDecodeAnswer(f *testing.F) {
	for _, seed := range []string{goodAnswer, "```json\n{}\n```", `{"verdict":"information","steps":"x"}`, `{"verdict":["a"]}`, "{\"a\":{\"verdict\":1}}", "\xff{", `<think>`} {
		f.Add(seed)
	}
	g := newGround(exchangeBundle(), nil)
	f.Fuzz(func(t *testing.T, content string) {
		d, err := decodeAnswer(content)
		if err != nil {
			return
		}
		require.LessOrEqual(t, len(d.steps), maxSteps)
		require.LessOrEqual(t, len(d.evidence), maxEvidence)
		require.LessOrEqual(t, utf8.RuneCountInString(d.cause.Text), maxText+2)
		require.True(t, utf8.ValidString(d.cause.Text))
		if a, ok := g.answer(d); ok && a.LikelyCause != nil {
			require.NotEmpty(t, a.LikelyCause.EvidenceIDs)
			cause, token := g.fault(a.LikelyCause.Text)
			_ = token
			if len(sentences(a.LikelyCause.Text)) == 1 {
				require.Empty(t, cause, "what passed must pass again")
			}
		}
		g.drops = nil
	})
}
