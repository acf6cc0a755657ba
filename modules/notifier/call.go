package notifier

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"aiagents/internal/crashpoint"
	"aiagents/internal/egress"
)

// call is one request to a desk, before credentials.
type call struct {
	operation   string // for metrics
	method      string
	url         string
	contentType string
	body        string
	list        bool // counts against the slower limit
	// once marks the request that must not happen twice. Its caller has waited for the rate limit and bounded its time.
	once bool
}

// link is what this process knows about one tenant's desk. It is replaced when the connection's settings change.
type link struct {
	Connection
	print    [32]byte // of the settings
	module   *Module
	breaker  *breaker
	single   *rate.Limiter
	lists    *rate.Limiter
	tokens   tokens
	desk     desk
	turns    sync.Mutex
	nextTurn time.Time
	blocked  atomic.Int64 // Unix nanoseconds until which the desk asked us to stay away
	alive    atomic.Int64 // Unix nanoseconds at which it was last recorded that the desk takes notes

	// assetList is the name under which this desk lists its assets, once that is known.
	assetList atomic.Pointer[string]

	state stateCache
}

// do sends a call and returns the body of a successful answer. A token that the desk refuses is replaced once.
func (l *link) do(ctx context.Context, c call) ([]byte, error) {
	if !c.once {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, l.module.config.ReadTimeout)
		defer cancel()
		if err := l.admit(ctx, c.list); err != nil {
			return nil, err
		}
	}
	token, err := l.credential(ctx)
	if err != nil {
		return nil, err
	}
	if wait, ok := l.breaker.allow(); !ok {
		return nil, &callError{class: heldBack, retryAfter: wait}
	}
	body, err := l.authorised(ctx, c, token)
	if errors.Is(err, context.Canceled) {
		l.breaker.abandon()
	} else {
		l.breaker.done(classOf(err).down())
	}
	return body, err
}

// admit waits for the connection's rate limits. A wait that would not end in time, or a desk that asked us to stay away,
// is an error at once.
func (l *link) admit(ctx context.Context, list bool) error {
	if left := time.Unix(0, l.blocked.Load()).Sub(l.module.clock()); left > 0 {
		return &callError{class: limited, retryAfter: left}
	}
	if !list {
		return l.turn(ctx)
	}
	if err := l.lists.Wait(ctx); err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("wait for rate limit: %w", err)
		}
		return &callError{class: limited, retryAfter: time.Second, cause: err}
	}
	return nil
}

// longestHold is how long a call about a single ticket may wait for its turn. Its caller holds a worker all the while, and a
// flood of one tenant must not hold the workers of all others.
const longestHold = time.Second

// turn waits for a call's place within the rate, or gives the place up and says when to come back. Those sent away get
// places one behind the other, so that they do not all return at once.
func (l *link) turn(ctx context.Context) error {
	reservation := l.single.Reserve()
	delay := reservation.Delay()
	if delay <= longestHold {
		timer := time.NewTimer(delay)
		defer timer.Stop()
		select {
		case <-timer.C:
			return nil
		case <-ctx.Done():
			reservation.Cancel()
			return fmt.Errorf("wait for rate limit: %w", ctx.Err())
		}
	}
	reservation.Cancel()
	now := time.Now()
	l.turns.Lock()
	defer l.turns.Unlock()
	l.nextTurn = l.nextTurn.Add(time.Duration(float64(time.Second) / l.module.config.RequestsPerSecond))
	if earliest := now.Add(delay); l.nextTurn.Before(earliest) {
		l.nextTurn = earliest
	}
	return &callError{class: limited, retryAfter: l.nextTurn.Sub(now)}
}

// ready does everything that must not eat into the time of a note's request.
func (l *link) ready(ctx context.Context) error {
	if err := l.admit(ctx, false); err != nil {
		return err
	}
	_, err := l.credential(ctx)
	return err
}

// authorised replaces a refused token once. For the note's request that is safe: a 401 is a clear no, and the time limit
// covers both tries.
func (l *link) authorised(ctx context.Context, c call, token string) ([]byte, error) {
	body, err := l.send(ctx, c, token)
	if classOf(err) != badToken {
		return body, err
	}
	fresh, tokenErr := l.replaceToken(ctx, token)
	if tokenErr != nil {
		return nil, tokenErr
	}
	return l.send(ctx, c, fresh)
}

// send makes one HTTP exchange and measures it.
func (l *link) send(ctx context.Context, c call, credential string) ([]byte, error) {
	start := time.Now()
	body, err := l.exchange(ctx, c, credential)
	outcome := "ok"
	if err != nil {
		outcome = string(classOf(err))
	}
	l.module.metrics.request(c.operation, outcome, time.Since(start))
	var e *callError
	if errors.As(err, &e) && e.class == limited {
		l.blocked.Store(l.module.clock().Add(e.retryAfter).UnixNano())
	}
	return body, err
}

// exchange sends a request and reads the whole answer.
func (l *link) exchange(ctx context.Context, c call, credential string) ([]byte, error) {
	client := l.module.reads
	if c.once {
		client = l.module.writes
	}
	// The connection is the border between "never sent" and "may have been sent": net/http writes nothing before it has
	// one, and a single-use client never sends on a second.
	var connected atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
		WroteHeaders: func() {
			if c.once {
				crashpoint.Reach("k7")
			}
		},
		GotFirstResponseByte: func() {
			if c.once {
				crashpoint.Reach("k8")
			}
		},
	})
	req, err := http.NewRequestWithContext(ctx, c.method, c.url, strings.NewReader(c.body))
	if err != nil {
		return nil, &callError{class: rejected, cause: errors.New("the URL cannot be used")}
	}
	l.desk.dress(req, credential)
	if c.contentType != "" {
		req.Header.Set("Content-Type", c.contentType)
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, transportError(err, connected.Load())
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, &callError{class: lost, status: resp.StatusCode, cause: err}
	}
	if err := l.desk.judge(resp, body, l.module.clock()); err != nil {
		return nil, err
	}
	return body, nil
}

// transportError classifies a request without an answer.
func transportError(err error, connected bool) *callError {
	var outer *url.Error
	if errors.As(err, &outer) { // it prints the whole URL
		err = outer.Err
	}
	switch {
	case errors.Is(err, egress.ErrRefused):
		return &callError{class: refused, cause: err}
	case connected:
		return &callError{class: lost, cause: err}
	}
	return &callError{class: notSent, cause: err}
}
