package main

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// stageOf is a stage whose desks take everything.
func stageOf(t *testing.T) *stage {
	t.Helper()
	desks := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(desks.Close)
	return &stage{world: newWorld(2, 0, 1), sims: &remote{addresses: addresses{Control: desks.URL}}, out: io.Discard}
}

// A receiver that stalls once must be seen by every request that fell due meanwhile, not by the one that it held alone.
func TestOpenLoopHasNoCoordinatedOmission(t *testing.T) {
	t.Parallel()
	const stall = 500 * time.Millisecond
	var seen atomic.Int64
	release := make(chan struct{})
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if seen.Add(1) == 1 {
			time.AfterFunc(stall, func() { close(release) })
			<-release
		}
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, `{"job_id":"j"}`)
	}))
	t.Cleanup(receiver.Close)
	g := &generator{stage: stageOf(t), target: strings.TrimPrefix(receiver.URL, "http://")}
	l, err := g.open(t.Context(), 100, time.Second, 1) // one connection: all wait behind the first
	require.NoError(t, err)
	require.Equal(t, 100, l.sent)
	require.Len(t, l.accepted, 100)
	// Those due within the stall, half of all, waited for its end; the median of a closed loop would show nothing.
	require.Greater(t, millis(l.latency, 75), 100.0)
	require.GreaterOrEqual(t, millis(l.latency, 100), 499.0)
}

func TestAnAnswerThatIsNotThereCountsAsRefused(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	g := &generator{stage: stageOf(t), target: l.Addr().String()}
	sent, err := g.closedCount(t.Context(), 2, 10)
	require.NoError(t, err)
	require.Equal(t, 10, sent.refused())
	require.Equal(t, map[int]int{0: 10}, sent.statuses)
	require.Empty(t, sent.accepted)
}
