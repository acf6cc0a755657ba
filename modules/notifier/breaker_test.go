package notifier

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAHalfOpenBreakerLetsOneCallTry(t *testing.T) {
	t.Parallel()
	now := &handClock{now: time.Now()}
	b := &breaker{clock: now.read, failures: 2, pause: time.Minute}
	require.Equal(t, "closed", b.state())
	allowed := func() bool { _, ok := b.allow(); return ok }
	b.done(true)
	b.done(false)
	b.done(true)
	require.True(t, allowed(), "only failures in a row count")
	b.done(true)
	require.False(t, allowed())
	require.Equal(t, "open", b.state())
	now.add(time.Minute)
	require.Equal(t, "half_open", b.state())
	require.True(t, allowed())
	require.False(t, allowed(), "the others wait for its result")
	b.abandon()
	require.True(t, allowed(), "a call that was given up leaves the question open")
	b.done(true)
	require.False(t, allowed())
	now.add(time.Minute)
	require.True(t, allowed())
	b.done(false)
	require.True(t, allowed())
	require.True(t, allowed())
	require.Equal(t, "closed", b.state())
}
