package synthesis

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"aiagents/internal/secret"
	"aiagents/internal/simulator/openai"
	"aiagents/modules/enhancement/evidence"
)

func outcomes(r Result) []Outcome {
	var list []Outcome
	for _, c := range r.Calls {
		list = append(list, c.Outcome)
	}
	return list
}

func TestEveryFailureOfTheModelEndsAsFactsWithItsReason(t *testing.T) {
	t.Parallel()
	const twice = 2
	for name, tc := range map[string]struct {
		always   openai.Behaviour
		reason   evidence.Reason
		outcomes []Outcome
	}{
		"rate limited":      {openai.Behaviour{Kind: openai.RateLimited, RetryAfter: time.Millisecond}, evidence.ReasonRateLimited, []Outcome{OutcomeRateLimited, OutcomeRateLimited}},
		"asks for too long": {openai.Behaviour{Kind: openai.RateLimited, RetryAfter: time.Minute}, evidence.ReasonRateLimited, []Outcome{OutcomeRateLimited}},
		"no quota":          {openai.Behaviour{Kind: openai.OutOfQuota}, evidence.ReasonBilling, []Outcome{OutcomeBilling}},
		"500":               {openai.Behaviour{Kind: openai.ServerError}, evidence.ReasonUnavailable, []Outcome{OutcomeServerError, OutcomeServerError}},
		"409":               {openai.Behaviour{Kind: openai.ServerError, Status: http.StatusConflict}, evidence.ReasonUnavailable, []Outcome{OutcomeServerError, OutcomeServerError}},
		"408":               {openai.Behaviour{Kind: openai.ServerError, Status: http.StatusRequestTimeout}, evidence.ReasonUnavailable, []Outcome{OutcomeServerError, OutcomeServerError}},
		"503":               {openai.Behaviour{Kind: openai.Overloaded}, evidence.ReasonUnavailable, []Outcome{OutcomeServerError, OutcomeServerError}},
		"403":               {openai.Behaviour{Kind: openai.Forbidden}, evidence.ReasonCredentials, []Outcome{OutcomeCredentials}},
		"stall":             {openai.Behaviour{Kind: openai.Stall}, evidence.ReasonUnavailable, []Outcome{OutcomeTimeout, OutcomeTimeout}},
		"cut":               {openai.Behaviour{Kind: openai.Cut}, evidence.ReasonUnavailable, []Outcome{OutcomeNetwork, OutcomeNetwork}},
		"truncated":         {openai.Behaviour{Kind: openai.Truncated}, evidence.ReasonInvalidAnswer, []Outcome{OutcomeTruncated, OutcomeTruncated}},
		"content filter":    {openai.Behaviour{Kind: openai.ContentFilter}, evidence.ReasonRefused, []Outcome{OutcomeRefused}},
		"refusal":           {openai.Behaviour{Kind: openai.Refusal}, evidence.ReasonRefused, []Outcome{OutcomeRefused}},
		"prose":             {openai.Behaviour{Kind: openai.NotJSON}, evidence.ReasonInvalidAnswer, []Outcome{OutcomeInvalid, OutcomeInvalid}},
		"schema echo":       {openai.Behaviour{Kind: openai.SchemaEcho}, evidence.ReasonInvalidAnswer, []Outcome{OutcomeInvalid, OutcomeInvalid}},
		"proxy page":        {openai.Behaviour{Kind: openai.HTMLPage}, evidence.ReasonInvalidAnswer, []Outcome{OutcomeInvalid, OutcomeInvalid}},
		"no choices":        {openai.Behaviour{Kind: openai.EmptyChoices}, evidence.ReasonInvalidAnswer, []Outcome{OutcomeInvalid, OutcomeInvalid}},
		"no content":        {openai.Behaviour{Kind: openai.EmptyContent}, evidence.ReasonInvalidAnswer, []Outcome{OutcomeInvalid, OutcomeInvalid}},
		"garbage":           {openai.Behaviour{Kind: openai.Garbage}, evidence.ReasonInvalidAnswer, []Outcome{OutcomeInvalid, OutcomeInvalid}},
		"half answer":       {openai.Behaviour{Kind: openai.HalfAnswer}, evidence.ReasonUnavailable, []Outcome{OutcomeNetwork, OutcomeNetwork}},
		"invented things":   {openai.Behaviour{Kind: openai.Invented}, evidence.ReasonUngrounded, []Outcome{OutcomeOK}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, url := simulator(t, answering(goodAnswer))
			s.Always(tc.always)

			r, err := newClient(t, url, func(c *Config) {
				if tc.always.Kind == openai.Stall {
					c.Timeout = 100 * time.Millisecond
				}
			}).Synthesise(t.Context(), exchangeBundle(), Options{})

			require.NoError(t, err)
			require.Equal(t, evidence.FactsOnly, r.Answer.Mode)
			require.Equal(t, tc.reason, r.Answer.Reason)
			require.Equal(t, tc.outcomes, outcomes(r))
			require.LessOrEqual(t, s.Calls(), twice)
			require.Equal(t, "T-4711", r.Answer.LooksLike, "the facts stand without a model")
		})
	}
}

func TestTheSecondAttemptMaySucceed(t *testing.T) {
	t.Parallel()
	for _, kind := range []openai.Kind{openai.ServerError, openai.Cut, openai.NotJSON, openai.Truncated, openai.SchemaEcho, openai.EmptyContent} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			s, url := simulator(t, answering(goodAnswer))
			s.Script(openai.Behaviour{Kind: kind})

			r, err := newClient(t, url).Synthesise(t.Context(), exchangeBundle(), Options{})

			require.NoError(t, err)
			require.Equal(t, evidence.Full, r.Answer.Mode)
			require.Len(t, r.Calls, 2)
			repaired := strings.Contains(s.Requests()[1].Prompt, "previous answer could not be used")
			require.Equal(t, r.Calls[0].Outcome.action() == actionRepair, repaired, "only a bad answer is told to the model")
		})
	}
}

func TestForgivenAnswersNeedOneCall(t *testing.T) {
	t.Parallel()
	for _, kind := range []openai.Kind{openai.Fenced, openai.StringForList, openai.NoUsage, openai.ZeroUsage} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			s, url := simulator(t, answering(goodAnswer))
			s.Always(openai.Behaviour{Kind: kind})

			r, err := newClient(t, url).Synthesise(t.Context(), exchangeBundle(), Options{})

			require.NoError(t, err)
			require.Equal(t, evidence.Full, r.Answer.Mode)
			require.Len(t, r.Calls, 1)
			if kind == openai.NoUsage || kind == openai.ZeroUsage {
				require.Zero(t, r.Calls[0].CostUSD)
				require.Empty(t, r.Calls[0].PriceDate, "an unknown cost says so")
			}
		})
	}
}

func TestTheWaitBetweenAttemptsIsKept(t *testing.T) {
	t.Parallel()
	s, url := simulator(t, answering(goodAnswer))
	s.Script(openai.Behaviour{Kind: openai.ServerError})

	_, err := newClient(t, url, func(c *Config) { c.RetryDelay = 150 * time.Millisecond }).Synthesise(t.Context(), exchangeBundle(), Options{})

	require.NoError(t, err)
	requests := s.Requests()
	require.GreaterOrEqual(t, requests[1].Time.Sub(requests[0].Time), 150*time.Millisecond)
}

func TestTheDefaultsAreThoseOfTheContract(t *testing.T) {
	t.Parallel()
	c := Config{}.withDefaults()
	require.Equal(t, 30*time.Second, c.Timeout)
	require.Equal(t, 2, c.Attempts)
	require.Equal(t, 5*time.Second, c.RetryDelay)
}

func TestOddErrorBodiesAreUnderstood(t *testing.T) {
	t.Parallel()
	for _, style := range []openai.ErrorStyle{openai.Standard, openai.Flat, openai.Plain} {
		t.Run("style "+string(style), func(t *testing.T) {
			t.Parallel()
			opts := answering(goodAnswer)
			opts.Errors = style
			s, url := simulator(t, opts)

			r, err := newClient(t, url, func(c *Config) { c.Model, c.FallbackModels = "no-such-model", []string{"gpt-6-luna"} }).
				Synthesise(t.Context(), exchangeBundle(), Options{})
			require.NoError(t, err)
			require.Equal(t, []Outcome{OutcomeUnknownModel, OutcomeOK}, outcomes(r))

			s.Always(openai.Behaviour{Kind: openai.OutOfQuota})
			r, err = newClient(t, url).Synthesise(t.Context(), exchangeBundle(), Options{})
			require.NoError(t, err)
			require.Equal(t, evidence.ReasonBilling, r.Answer.Reason)
		})
	}
}

func TestRetiredModelsFallThroughAreReportedAndRemembered(t *testing.T) {
	t.Parallel()
	s, url := simulator(t, answering(goodAnswer))
	c := newClient(t, url, func(c *Config) { c.Model, c.FallbackModels = "gone-1", []string{"gone-2", "gpt-6-luna"} })

	r, err := c.Synthesise(t.Context(), exchangeBundle(), Options{})
	require.NoError(t, err)
	require.Equal(t, "gpt-6-luna", r.Model)
	require.Equal(t, []string{"gone-1", "gone-2"}, r.RetiredModels)
	require.Equal(t, []Outcome{OutcomeUnknownModel, OutcomeUnknownModel, OutcomeOK}, outcomes(r))
	require.True(t, c.Status().Models[0].Unknown)

	r, err = c.Synthesise(t.Context(), exchangeBundle(), Options{})
	require.NoError(t, err)
	require.Len(t, r.Calls, 1, "the next ticket does not ask them again")
	require.Equal(t, 4, s.Calls())
}

func TestNoModelLeft(t *testing.T) {
	t.Parallel()
	s, url := simulator(t, answering(goodAnswer))
	r, err := newClient(t, url, func(c *Config) { c.Model, c.FallbackModels = "a", []string{"b", "c", "d"} }).Synthesise(t.Context(), exchangeBundle(), Options{})
	require.NoError(t, err)
	require.Equal(t, evidence.ReasonRetired, r.Answer.Reason)
	require.Equal(t, maxCalls, s.Calls(), "a long chain does not cost more calls")
}

func TestAServerThatRefusesOurFormGetsASimplerOne(t *testing.T) {
	t.Parallel()
	for name, refused := range map[string][]string{
		"response_format": {"response_format"}, "max_completion_tokens": {"max_completion_tokens"}, "reasoning_effort": {"reasoning_effort"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			opts := answering(goodAnswer)
			opts.Refuse = refused
			s, url := simulator(t, opts)
			c := newClient(t, url, func(c *Config) { c.Model, c.ReasoningEffort = "gpt-6-luna", "low" })

			r, err := c.Synthesise(t.Context(), exchangeBundle(), Options{})
			require.NoError(t, err)
			require.Equal(t, evidence.Full, r.Answer.Mode, "%v", outcomes(r))
			before := s.Calls()

			_, err = c.Synthesise(t.Context(), exchangeBundle(), Options{})
			require.NoError(t, err)
			require.Equal(t, before+1, s.Calls(), "what the server refuses is remembered")
			if name == "response_format" {
				require.Contains(t, s.Requests()[before].Prompt, "of this shape", "the prompt spells the shape out instead")
			}
		})
	}
}

// TestJSONObjectIsTriedBeforeNoFormat uses a server of its own: the simulator refuses response_format as a whole or not at all.
func TestJSONObjectIsTriedBeforeNoFormat(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			ResponseFormat struct {
				Type string `json:"type"`
			} `json:"response_format"`
		}
		_ = json.NewDecoder(r.Body).Decode(&body)
		w.Header().Set("Content-Type", "application/json")
		if body.ResponseFormat.Type != "json_object" {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"object":"error","message":"response_format json_schema is not supported","code":400}`))
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"choices": []any{map[string]any{"message": map[string]any{"content": goodAnswer}, "finish_reason": "stop"}}})
	}))
	t.Cleanup(server.Close)

	r, err := newClient(t, server.URL).Synthesise(t.Context(), exchangeBundle(), Options{})

	require.NoError(t, err)
	require.Equal(t, []Outcome{OutcomeSchemaRefused, OutcomeOK}, outcomes(r))
	require.Equal(t, evidence.Full, r.Answer.Mode)
}

func TestATooLongPromptIsHalved(t *testing.T) {
	t.Parallel()
	opts := answering(goodAnswer)
	b := exchangeBundle()
	b.Ticket.Description += strings.Repeat(" the mailbox is full", 800)
	b.Articles[0].Excerpt += strings.Repeat(" more of the runbook", 800)
	opts.Models = []openai.Model{{ID: "small", Context: 3000}}
	s, url := simulator(t, opts)

	r, err := newClient(t, url, func(c *Config) { c.Model, c.MaxOutputTokens = "small", 500 }).Synthesise(t.Context(), b, Options{})

	require.NoError(t, err)
	require.Equal(t, []Outcome{OutcomeTooLong, OutcomeOK}, outcomes(r))
	require.Less(t, len(s.Requests()[1].Body), len(s.Requests()[0].Body))
}

func TestAWrongKeyIsNotRetried(t *testing.T) {
	t.Parallel()
	s, url := simulator(t, answering(goodAnswer))
	r, err := newClient(t, url, func(c *Config) { c.APIKey = secret.New("sk-wrong-canary-91") }).Synthesise(t.Context(), exchangeBundle(), Options{})
	require.NoError(t, err)
	require.Equal(t, evidence.ReasonCredentials, r.Answer.Reason)
	require.Equal(t, 1, s.Calls())
	kept, err := json.Marshal(r)
	require.NoError(t, err)
	require.NotContains(t, string(kept), "canary")
}

func TestAnEndedContextIsTheOnlyError(t *testing.T) {
	t.Parallel()
	s, url := simulator(t, answering(goodAnswer))
	s.Always(openai.Behaviour{Kind: openai.Stall})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	c := newClient(t, url)

	r, err := c.Synthesise(ctx, exchangeBundle(), Options{})

	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Equal(t, []Outcome{OutcomeCancelled}, outcomes(r), "the call is still accounted for")
	require.Equal(t, BreakerClosed, c.Status().Breaker)
}

func TestWithoutAModelOrEvidenceNothingIsAsked(t *testing.T) {
	t.Parallel()
	s, url := simulator(t, answering(goodAnswer))
	c := newClient(t, url)

	r, err := c.Synthesise(t.Context(), evidence.Bundle{Ticket: evidence.Ticket{ID: "1", Subject: "it does not work"}}, Options{})
	require.NoError(t, err)
	require.Equal(t, evidence.ReasonNoEvidence, r.Answer.Reason)

	bare, err := New(Config{}, nil)
	require.NoError(t, err)
	require.False(t, bare.Configured())
	r, err = bare.Synthesise(t.Context(), exchangeBundle(), Options{})
	require.NoError(t, err)
	require.Equal(t, evidence.ReasonNotConfigured, r.Answer.Reason)
	require.Zero(t, s.Calls())
}

func TestTheEnvironmentOfTheSDKIsNotRead(t *testing.T) {
	s, url := simulator(t, answering(goodAnswer))
	for _, name := range []string{"OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_ADMIN_KEY"} {
		t.Setenv(name, "env-canary")
	}
	t.Setenv("OPENAI_CUSTOM_HEADERS", "X-Env: env-canary")
	t.Setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/env-canary")

	r, err := newClient(t, url, func(c *Config) { c.Headers = map[string]string{"X-Gateway": "on"} }).Synthesise(t.Context(), exchangeBundle(), Options{})

	require.NoError(t, err)
	require.Equal(t, evidence.Full, r.Answer.Mode)
	sent := s.Requests()[0].Header
	require.Equal(t, "Bearer "+testKey, sent.Get("Authorization"))
	require.Equal(t, "on", sent.Get("X-Gateway"))
	for name, values := range sent {
		require.NotContains(t, strings.Join(values, " "), "env-canary", name)
	}
}

func TestRedirectsAreRefused(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the key went elsewhere") }))
	t.Cleanup(elsewhere.Close)
	server := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	t.Cleanup(server.Close)

	r, err := newClient(t, server.URL).Synthesise(t.Context(), exchangeBundle(), Options{})

	require.NoError(t, err)
	require.Equal(t, evidence.ReasonRejected, r.Answer.Reason)
}

func TestAPrivateAuthorityIsTrustedWhenNamed(t *testing.T) {
	t.Parallel()
	s := openai.New(answering(goodAnswer))
	server := httptest.NewTLSServer(s.Handler())
	t.Cleanup(func() { s.Close(); server.Close() })
	file := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(file, pemOf(server.Certificate().Raw), 0o600))

	r, err := newClient(t, server.URL+"/v1").Synthesise(t.Context(), exchangeBundle(), Options{})
	require.NoError(t, err)
	require.Equal(t, evidence.ReasonUnavailable, r.Answer.Reason, "unknown authorities are refused")

	r, err = newClient(t, server.URL+"/v1", func(c *Config) { c.CAFile = file }).Synthesise(t.Context(), exchangeBundle(), Options{})
	require.NoError(t, err)
	require.Equal(t, evidence.Full, r.Answer.Mode)

	_, err = New(Config{CAFile: filepath.Join(t.TempDir(), "none.pem")}, nil)
	require.ErrorContains(t, err, "read certificate authorities")
}

func TestCheckTellsOfEveryModel(t *testing.T) {
	t.Parallel()
	_, url := simulator(t, answering("{}"))
	calls, err := newClient(t, url, func(c *Config) { c.FallbackModels = []string{"gone"} }).Check(t.Context())
	require.NoError(t, err)
	require.Equal(t, OutcomeOK, calls[0].Outcome)
	require.Equal(t, OutcomeUnknownModel, calls[1].Outcome)

	bare, err := New(Config{}, nil)
	require.NoError(t, err)
	_, err = bare.Check(t.Context())
	require.ErrorIs(t, err, ErrNotConfigured)
}

func TestATenantsOwnModelIsAskedFirst(t *testing.T) {
	t.Parallel()
	c := newClient(t, "http://127.0.0.1:1", func(c *Config) { c.Model, c.FallbackModels = "a", []string{"b"} })
	require.Equal(t, []string{"a", "b"}, c.usableModels(""))
	require.Equal(t, []string{"own", "a", "b"}, c.usableModels("own"))
	require.Equal(t, []string{"b", "a"}, c.usableModels("b"), "a configured model is only moved to the front")
}
