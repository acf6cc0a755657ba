package notifier

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/time/rate"
)

// A tenant over its rate is sent away at once, to places one behind the other, and holds no worker.
func TestAFloodIsSentAwayInsteadOfHoldingWorkers(t *testing.T) {
	t.Parallel()
	l := &link{module: &Module{config: Config{RequestsPerSecond: 2}}, single: rate.NewLimiter(2, 1)}
	require.NoError(t, l.turn(t.Context()))
	begin := time.Now()
	var waits []time.Duration
	for range 40 {
		var limit *callError
		if err := l.turn(t.Context()); errors.As(err, &limit) {
			require.Equal(t, limited, limit.class)
			waits = append(waits, limit.retryAfter)
		}
	}
	require.Less(t, time.Since(begin), 10*time.Second)
	require.GreaterOrEqual(t, len(waits), 20)
	for i := 1; i < len(waits); i++ {
		require.Greater(t, waits[i]+time.Since(begin), waits[i-1], "places are handed out one behind the other")
	}
	require.Greater(t, waits[len(waits)-1], 5*time.Second)
}
