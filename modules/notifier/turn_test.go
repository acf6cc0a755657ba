package notifier

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/time/rate"
)

// A tenant over its rate is sent away at once, to places one behind the other, and holds no worker.
func TestAFloodIsSentAwayInsteadOfHoldingWorkers(t *testing.T) {
	t.Parallel()
	l := &link{module: &Module{config: Config{RequestsPerSecond: 2}}, single: rate.NewLimiter(2, 1)}
	var mu sync.Mutex
	var waits []time.Duration
	var calls sync.WaitGroup
	begin := time.Now()
	for range 40 {
		calls.Go(func() {
			var limit *callError
			if err := l.turn(t.Context()); errors.As(err, &limit) && limit.class == limited {
				mu.Lock()
				defer mu.Unlock()
				waits = append(waits, limit.retryAfter)
			}
		})
	}
	calls.Wait()
	require.Less(t, time.Since(begin), 5*longestHold, "nobody is held for long")
	require.GreaterOrEqual(t, len(waits), 35)
	slices.Sort(waits)
	require.Greater(t, waits[len(waits)-1], 15*time.Second, "the last of forty comes back when two a second have served the others")
	for i := 1; i < len(waits); i++ {
		require.Greater(t, waits[i]-waits[i-1], 200*time.Millisecond, "no two come back at once")
	}
}
