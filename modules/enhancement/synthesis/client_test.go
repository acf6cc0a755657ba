package synthesis

import (
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"aiagents/internal/secret"
	"aiagents/internal/simulator/openai"
	"aiagents/modules/enhancement/evidence"
)

const testKey = "sk-test-key-of-the-simulator"

// goodAnswer is what a fair model says about exchangeBundle, in the placeholders that it was given.
const goodAnswer = `{"verdict":"action_suggested",
"likely_cause":{"text":"The archive job on HOST_1 likely failed and disk E is full, as in T-4711.","evidence_ids":["T-4711","M-1"]},
"alternatives":[{"text":"A broken Outlook profile.","evidence_ids":["T-4650"]}],
"evidence":[{"text":"T-4711 had the same error 0x80040115.","evidence_ids":["T-4711"]},{"text":"Disk E on HOST_1 is at 96%.","evidence_ids":["M-1","S-HOST_1"]}],
"steps":[{"text":"Re-run the archive job.","safety":"reversible","evidence_ids":["T-4711"]},{"text":"Check the state of the archive job on HOST_1.","safety":"read_only","evidence_ids":["KB-7Q2F"]}],
"similar":[{"id":"T-4711","why":"Same error and same server."}]}`

func simulator(t *testing.T, opts openai.Options) (*openai.Server, string) {
	t.Helper()
	opts.APIKey = testKey
	s := openai.New(opts)
	server := httptest.NewServer(s.Handler())
	t.Cleanup(func() { s.Close(); server.Close() })
	return s, server.URL + "/v1"
}

func answering(content string) openai.Options {
	return openai.Options{Respond: func(openai.Request) string { return content }}
}

// newClient is quick to retry, so that no test waits.
func newClient(t *testing.T, url string, change ...func(*Config)) *Client {
	t.Helper()
	cfg := Config{APIKey: secret.New(testKey), BaseURL: url, Model: "gpt-4o-mini", RetryDelay: time.Millisecond, Timeout: 10 * time.Second}
	for _, c := range change {
		c(&cfg)
	}
	client, err := New(cfg, func() time.Time { return noon })
	require.NoError(t, err)
	return client
}

func TestAGoodAnswerIsRestoredGroundedAndPriced(t *testing.T) {
	t.Parallel()
	s, url := simulator(t, answering(goodAnswer))

	r, err := newClient(t, url).Synthesise(t.Context(), exchangeBundle(), Options{})

	require.NoError(t, err)
	a := r.Answer
	require.Equal(t, evidence.Full, a.Mode)
	require.Equal(t, evidence.ActionSuggested, a.Verdict)
	require.Equal(t, "The archive job on hc-ex-02 likely failed and disk E is full, as in T-4711.", a.LikelyCause.Text)
	require.Equal(t, []string{"T-4711", "M-1"}, a.LikelyCause.EvidenceIDs)
	require.Equal(t, []string{"M-1", "S-hc-ex-02"}, a.Evidence[1].EvidenceIDs)
	require.Equal(t, evidence.ReadOnly, a.Steps[0].Safety, "safe steps come first")
	require.Equal(t, evidence.Reversible, a.Steps[1].Safety)
	require.Empty(t, r.Drops)
	require.Equal(t, "high", a.Confidence.Level)
	require.Equal(t, "gpt-4o-mini", r.Model)
	require.Len(t, r.Calls, 1)
	require.Equal(t, OutcomeOK, r.Calls[0].Outcome)
	require.Positive(t, r.Calls[0].PromptTokens)
	require.Positive(t, r.Calls[0].CostUSD)
	require.NotEmpty(t, r.Calls[0].PriceDate)
	require.Equal(t, 1, s.Calls())
	require.Empty(t, openai.CheckStrict(answerSchema()))
}
