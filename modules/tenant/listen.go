package tenant

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	firstBackOff = 100 * time.Millisecond
	longBackOff  = 5 * time.Second
	// silence is how long the connection may say nothing before it is asked whether it still stands: a connection that a
	// firewall dropped looks like one on which nothing happens.
	silence     = 15 * time.Second
	pingTimeout = 5 * time.Second
)

// Listen drops tenants from the cache as other processes change them, until ctx ends; then it returns nil. It holds one
// connection of its own, outside the pool's limit. While that is broken, every read goes to the database; when it stands
// again, the cache starts empty, since notifications may have been missed. It needs a connection that stays on one session of
// the server (db.Config.ListenURL): without one, changes of other processes are seen after Config.CacheTTL.
func (m *Module) Listen(ctx context.Context) error {
	m.cache.setDeaf(true)
	wait := firstBackOff
	for {
		heard, err := m.listenOnce(ctx)
		m.cache.setDeaf(true)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the caller ended it, which is how it is meant to end
		}
		if heard {
			wait = firstBackOff
		}
		m.log.WarnContext(ctx, "listening for tenant changes was interrupted", "error", err, "retry_in_ms", wait.Milliseconds())
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
		wait = min(2*wait, longBackOff)
	}
}

// Listening is closed once Listen has its connection for the first time.
func (m *Module) Listening() <-chan struct{} { return m.listening }

// listenOnce listens on one connection until that breaks, and reports whether it ever stood.
func (m *Module) listenOnce(ctx context.Context) (heard bool, err error) {
	pooled, err := m.db.ListenPool().Acquire(ctx)
	if err != nil {
		return false, fmt.Errorf("acquire connection: %w", err)
	}
	conn := pooled.Hijack()
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), pingTimeout)
		defer cancel()
		_ = conn.Close(closing)
	}()
	if _, err := conn.Exec(ctx, `LISTEN `+channel); err != nil {
		return false, fmt.Errorf("listen: %w", err)
	}
	m.cache.setDeaf(false)
	m.ready()
	for {
		waiting, cancel := context.WithTimeout(ctx, silence)
		n, err := conn.WaitForNotification(waiting)
		cancel()
		switch {
		case err == nil:
			m.cache.drop(n.Payload)
		case ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded):
			return true, fmt.Errorf("wait for notification: %w", err)
		default:
			pinging, cancel := context.WithTimeout(ctx, pingTimeout)
			err := conn.Ping(pinging)
			cancel()
			if err != nil {
				return true, fmt.Errorf("ping: %w", err)
			}
		}
	}
}
