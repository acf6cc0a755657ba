package notifier

import (
	"sync"
	"time"
)

// breaker stops calls to a desk that is down. It is our own because it runs on the injected clock and because callers
// need the time that is left, which they hand on as the waiting time of the job.
type breaker struct {
	clock    func() time.Time
	failures int           // in a row, until it opens
	pause    time.Duration // that it stays open

	mu      sync.Mutex
	inARow  int
	until   time.Time // open until then; zero is closed
	probing bool      // one call is trying whether the desk is back
}

// allow lets a call pass, or says how long to wait. While the breaker is half open, one call at a time passes.
func (b *breaker) allow() (wait time.Duration, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.until.IsZero() {
		return 0, true
	}
	if left := b.until.Sub(b.clock()); left > 0 {
		return left, false
	}
	if b.probing {
		return time.Second, false
	}
	b.probing = true
	return 0, true
}

// abandon reports that an allowed call was given up by its caller, which says nothing about the desk.
func (b *breaker) abandon() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.probing = false
}

// done reports how an allowed call ended. Whatever proves that the desk answers counts as a success.
func (b *breaker) done(failed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.probing = false
	if !failed {
		b.inARow, b.until = 0, time.Time{}
		return
	}
	b.inARow++
	if b.inARow >= b.failures {
		b.until = b.clock().Add(b.pause)
	}
}

// state names the breaker's state for metrics.
func (b *breaker) state() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.until.IsZero():
		return "closed"
	case b.clock().Before(b.until):
		return "open"
	}
	return "half_open"
}
