package synthesis

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"aiagents/internal/simulator/openai"
	"aiagents/modules/enhancement/evidence"
)

func TestTheBreakerOpensProbesAndCloses(t *testing.T) {
	t.Parallel()
	now := noon
	b := &breaker{limit: 2, cooldown: time.Minute, now: func() time.Time { return now }}
	fail := func() { _, ok := b.allow(); require.True(t, ok); b.failure(evidence.ReasonUnavailable) }

	fail()
	state, _ := b.state()
	require.Equal(t, BreakerClosed, state)
	fail()
	state, reason := b.state()
	require.Equal(t, BreakerOpen, state)
	require.Equal(t, evidence.ReasonUnavailable, reason)
	reason, ok := b.allow()
	require.False(t, ok)
	require.Equal(t, evidence.ReasonUnavailable, reason)

	now = now.Add(time.Minute)
	state, _ = b.state()
	require.Equal(t, BreakerHalfOpen, state)
	_, ok = b.allow()
	require.True(t, ok)
	_, ok = b.allow()
	require.False(t, ok, "one probe at a time")
	b.failure(evidence.ReasonUnavailable)
	state, _ = b.state()
	require.Equal(t, BreakerOpen, state, "a failed probe opens it again")

	now = now.Add(time.Minute)
	_, ok = b.allow()
	require.True(t, ok)
	b.release()
	_, ok = b.allow()
	require.True(t, ok, "a cancelled probe makes room for the next")
	b.success()
	state, _ = b.state()
	require.Equal(t, BreakerClosed, state)
	fail()
	state, _ = b.state()
	require.Equal(t, BreakerClosed, state, "the count starts anew")
}

func TestAnOpenBreakerAnswersAtOnceWithoutACall(t *testing.T) {
	t.Parallel()
	now := noon
	s, url := simulator(t, answering(goodAnswer))
	s.Script(openai.Behaviour{Kind: openai.OutOfQuota})
	c := newClient(t, url)
	c.now, c.breaker.now = func() time.Time { return now }, func() time.Time { return now }

	for range 3 {
		r, err := c.Synthesise(t.Context(), exchangeBundle(), Options{})
		require.NoError(t, err)
		require.Equal(t, evidence.ReasonBilling, r.Answer.Reason)
	}
	require.Equal(t, 1, s.Calls(), "one billing fault opens it")
	require.Equal(t, BreakerOpen, c.Status().Breaker)
	require.Equal(t, evidence.ReasonBilling, c.Status().BreakerReason)

	now = now.Add(time.Minute)
	_, err := c.Synthesise(t.Context(), exchangeBundle(), Options{})
	require.NoError(t, err)
	require.Equal(t, 1, s.Calls(), "and longer than a hiccup does")

	now = now.Add(10 * time.Minute)
	r, err := c.Synthesise(t.Context(), exchangeBundle(), Options{})
	require.NoError(t, err)
	require.Equal(t, evidence.Full, r.Answer.Mode)
	require.Equal(t, BreakerClosed, c.Status().Breaker)
}

func TestBadAnswersDoNotOpenTheBreaker(t *testing.T) {
	t.Parallel()
	s, url := simulator(t, answering(goodAnswer))
	s.Always(openai.Behaviour{Kind: openai.NotJSON})
	c := newClient(t, url, func(c *Config) { c.BreakerFailures = 1 })
	for range 3 {
		_, err := c.Synthesise(t.Context(), exchangeBundle(), Options{})
		require.NoError(t, err)
	}
	require.Equal(t, BreakerClosed, c.Status().Breaker)
}
