package synthesis

import (
	"sync"
	"time"

	"aiagents/modules/enhancement/evidence"
)

// BreakerState is the state of the circuit breaker, as metrics name it.
type BreakerState string

// The states of the breaker. In half-open one ticket at a time may try.
const (
	BreakerClosed   BreakerState = "closed"
	BreakerOpen     BreakerState = "open"
	BreakerHalfOpen BreakerState = "half_open"
)

// standingFactor lengthens the pause after a fault that waiting alone does not mend: an empty account or a wrong key.
const standingFactor = 10

// breaker keeps tickets from waiting for a model that is known to be away. It counts tickets, not calls.
type breaker struct {
	limit    int
	cooldown time.Duration
	now      func() time.Time

	mu       sync.Mutex
	failures int
	reason   evidence.Reason
	until    time.Time // zero while closed
	probing  bool
}

// allow reports whether a ticket may ask the model. If so, exactly one of success, failure and release must follow.
func (b *breaker) allow() (evidence.Reason, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.until.IsZero():
		return "", true
	case b.now().Before(b.until) || b.probing:
		return b.reason, false
	}
	b.probing = true
	return "", true
}

func (b *breaker) success() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failures, b.reason, b.until, b.probing = 0, "", time.Time{}, false
}

// release ends a try that says nothing about the model, such as one whose ticket was cancelled.
func (b *breaker) release() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.probing = false
}

func (b *breaker) failure(reason evidence.Reason) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failures++
	standing := reason == evidence.ReasonBilling || reason == evidence.ReasonCredentials
	if b.failures >= b.limit || standing || b.probing {
		pause := b.cooldown
		if standing {
			pause *= standingFactor
		}
		b.reason, b.until = reason, b.now().Add(pause)
	}
	b.probing = false
}

func (b *breaker) state() (BreakerState, evidence.Reason) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.until.IsZero():
		return BreakerClosed, ""
	case b.now().Before(b.until):
		return BreakerOpen, b.reason
	}
	return BreakerHalfOpen, b.reason
}
