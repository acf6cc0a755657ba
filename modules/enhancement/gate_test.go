package enhancement

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// searchAtOnce has n runs of a flood search for a second each, and returns how long all took and how many searched at once.
func searchAtOnce(t *testing.T, g *gate, n int) (took time.Duration, most int64) {
	t.Helper()
	var all sync.WaitGroup
	var now, peak atomic.Int64
	start := time.Now()
	for range n {
		all.Go(func() {
			err := g.pass(t.Context(), func() {
				if at := now.Add(1); at > peak.Load() {
					peak.Store(at)
				}
				time.Sleep(time.Second)
				now.Add(-1)
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	return time.Since(start), peak.Load()
}

func TestAFloodMakesRoomOnlyForOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate(time.Now)
		width := int64(cap(g.slots))
		n := int(6 * width)
		took, most := searchAtOnce(t, g, n)
		require.Equal(t, time.Second, took, "alone it is not held up")
		require.EqualValues(t, n, most)

		leave := g.attend()
		took, most = searchAtOnce(t, g, n)
		require.Equal(t, 12*time.Second, took, "half of the time is left to the others")
		require.Equal(t, width, most)

		leave()
		require.True(t, g.attended(), "the next one is probably on its way")
		time.Sleep(lingers)
		took, _ = searchAtOnce(t, g, n)
		require.Equal(t, time.Second, took)
	})
}

func TestAWaitAtTheGateEndsWithItsAttempt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate(time.Now)
		defer g.attend()()
		for range cap(g.slots) {
			g.slots <- struct{}{}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := g.pass(ctx, func() { t.Error("searched without a place") })
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}
