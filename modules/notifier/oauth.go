package notifier

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"aiagents/internal/fault"
)

// The accounts server grants ten access tokens in ten minutes and then none, so all workers of all processes share one:
// it is kept encrypted on the connection's row, and whoever holds the row's lease refreshes it. The lease is a column and
// not an advisory lock because it must be held while HTTP happens: a lock would pin a database connection (or a
// transaction) for that long and would not survive a pooler; a lease of a dead worker just runs out.
const (
	tokenField    = "desk_access_token"
	refreshEarly  = 5 * time.Minute
	refreshLease  = 30 * time.Second
	refreshApart  = time.Minute            // a token younger than this that is refused will not get better by another
	refreshBlock  = time.Minute            // after the accounts server said "too many"
	refreshRest   = 5 * time.Second        // after any other failure, so that not every job asks at once
	refreshPoll   = 200 * time.Millisecond // while another worker refreshes
	tokenFallback = time.Hour
)

// tokens is this process's copy of the shared access token.
type tokens struct {
	flight  singleflight.Group
	mu      sync.Mutex
	value   string
	expires time.Time
	failed  error     // the last refresh's failure, which holds
	until   time.Time // until then
}

// recentFailure answers for the accounts server while asking again would only use up its quota.
func (t *tokens) recentFailure(now time.Time) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.Before(t.until) {
		return t.failed
	}
	return nil
}

func (t *tokens) fail(err error, until time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failed, t.until = err, until
}

// sealedToken is what the row keeps, encrypted. For binds it to the client it was issued to.
type sealedToken struct {
	Token string `json:"token"`
	For   []byte `json:"for"`
}

// credential is what dress puts on a request.
func (l *link) credential(ctx context.Context) (string, error) {
	if !l.cloud() {
		return l.APIKey, nil
	}
	l.tokens.mu.Lock()
	value, expires := l.tokens.value, l.tokens.expires
	l.tokens.mu.Unlock()
	if value != "" && l.module.clock().Before(expires.Add(-refreshEarly)) {
		return value, nil
	}
	return l.sharedToken(ctx, "")
}

// replaceToken returns a token other than the refused one.
func (l *link) replaceToken(ctx context.Context, refused string) (string, error) {
	return l.sharedToken(ctx, refused)
}

// sharedToken joins all callers of this process into one. The flight is detached from the caller that started it, since
// the others wait for it too.
func (l *link) sharedToken(ctx context.Context, refused string) (string, error) {
	result := l.tokens.flight.DoChan("token "+refused, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), refreshLease)
		defer cancel()
		return l.obtain(ctx, refused)
	})
	select {
	case r := <-result:
		if r.Err != nil {
			return "", r.Err
		}
		return r.Val.(string), nil
	case <-ctx.Done():
		return "", &callError{class: notSent, cause: ctx.Err()}
	}
}

// obtain takes the token from the row, or refreshes it, or waits for the worker that does.
func (l *link) obtain(ctx context.Context, refused string) (string, error) {
	for {
		if err := l.tokens.recentFailure(l.module.clock()); err != nil {
			return "", err
		}
		row, err := l.module.store.token(ctx, l.TenantID)
		if err != nil {
			return "", err
		}
		token, ok := l.open(ctx, row)
		usable := ok && token != refused && row.left() > 0
		if usable && row.left() > refreshEarly {
			l.keep(token, row.left())
			return token, nil
		}
		if refused != "" && token == refused && row.age() < refreshApart {
			// Just issued and refused all the same: it is not the token. Another refresh would only burn the quota.
			return "", &callError{class: unauthorized, status: http.StatusUnauthorized}
		}
		mine, err := l.module.store.claimLease(ctx, l.TenantID, row.IssuedAt, refreshLease)
		switch {
		case err != nil:
			return "", err
		case mine:
			return l.refresh(ctx)
		case usable: // another worker is at it, and the old one still works
			return token, nil
		}
		if err := pauseFor(ctx, refreshPoll); err != nil {
			return "", &callError{class: notSent, cause: errors.New("another worker is refreshing the access token")}
		}
	}
}

// open gives the row's token, if it is there, can be opened and belongs to the present client.
func (l *link) open(ctx context.Context, row tokenRow) (string, bool) {
	if len(row.Sealed) == 0 {
		return "", false
	}
	plain, err := l.module.deps.Sealer.Open(ctx, l.TenantID, tokenField, row.Sealed)
	if err != nil {
		// A lost key costs one refresh; the alarm about it is the sealer's.
		return "", false
	}
	var t sealedToken
	if json.Unmarshal(plain, &t) != nil || !bytes.Equal(t.For, l.client()) {
		return "", false
	}
	return t.Token, true
}

// client identifies the OAuth client whose token it is, so that new credentials never meet an old token.
func (l *link) client() []byte {
	print := sha256.Sum256(fmt.Appendf(nil, "%q", []string{l.OAuth.AccountsURL, l.OAuth.ClientID, l.OAuth.ClientSecret, l.OAuth.RefreshToken}))
	return print[:]
}

// keep remembers the token for this process, by its own clock: the lifetime is relative, so skew does not matter.
func (l *link) keep(token string, left time.Duration) {
	l.tokens.mu.Lock()
	defer l.tokens.mu.Unlock()
	l.tokens.value, l.tokens.expires = token, l.module.clock().Add(left)
}

// refresh is called by the holder of the lease.
func (l *link) refresh(ctx context.Context) (string, error) {
	grant, err := l.requestToken(ctx)
	if err != nil {
		block := refreshRest
		if classOf(err) == limited {
			block = refreshBlock
		}
		l.tokens.fail(err, l.module.clock().Add(block))
		return "", l.endLease(ctx, block, err)
	}
	plain, err := json.Marshal(sealedToken{Token: grant.AccessToken, For: l.client()})
	if err != nil {
		return "", fmt.Errorf("encode access token: %w", err)
	}
	sealed, err := l.module.deps.Sealer.Seal(ctx, l.TenantID, tokenField, plain)
	if err != nil {
		return "", fmt.Errorf("seal access token: %w", err)
	}
	life := time.Duration(grant.ExpiresIn) * time.Second
	if life <= 0 {
		life = tokenFallback
	}
	if err := l.module.store.storeToken(ctx, l.TenantID, sealed, life); err != nil {
		return "", err
	}
	l.module.metrics.refreshes.WithLabelValues("ok").Inc()
	l.keep(grant.AccessToken, life)
	return grant.AccessToken, nil
}

// endLease lets others refresh after the block, which protects the quota of an accounts server that just said no.
func (l *link) endLease(ctx context.Context, block time.Duration, cause error) error {
	ctx, cancel := afterwards(ctx)
	defer cancel()
	if err := l.module.store.endLease(ctx, l.TenantID, block); err != nil {
		return errors.Join(cause, err)
	}
	return cause
}

type tokenGrant struct {
	AccessToken string `json:"access_token"`
	ExpiresIn   int    `json:"expires_in"`
	Error       string `json:"error"`
}

// requestToken asks the accounts server, whose refusals may come with HTTP 200. When it is away, the failure is notSent:
// whatever the token was for has not left.
func (l *link) requestToken(ctx context.Context) (tokenGrant, error) {
	form := url.Values{
		"grant_type": {"refresh_token"}, "refresh_token": {l.OAuth.RefreshToken},
		"client_id": {l.OAuth.ClientID}, "client_secret": {l.OAuth.ClientSecret},
	}
	start := time.Now()
	grant, err := l.exchangeToken(ctx, form.Encode())
	outcome := "ok"
	if err != nil {
		outcome = string(classOf(err))
		label := "failed"
		switch classOf(err) {
		case limited:
			label = "limited"
		case unauthorized:
			label = "refused"
		}
		l.module.metrics.refreshes.WithLabelValues(label).Inc()
	}
	l.module.metrics.request("token", outcome, time.Since(start))
	return grant, err
}

func (l *link) exchangeToken(ctx context.Context, form string) (tokenGrant, error) {
	address := strings.TrimRight(l.OAuth.AccountsURL, "/") + "/oauth/v2/token"
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(form))
	if err != nil {
		return tokenGrant{}, fault.New(fault.Invalid, "the accounts URL cannot be used")
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := l.module.reads.Do(req)
	if err != nil {
		return tokenGrant{}, transportError(err, false)
	}
	defer resp.Body.Close()
	var grant tokenGrant
	if err := json.NewDecoder(resp.Body).Decode(&grant); err != nil {
		return tokenGrant{}, &callError{class: notSent, status: resp.StatusCode, cause: errors.New("the accounts server's answer is not JSON")}
	}
	if grant.AccessToken != "" && resp.StatusCode == http.StatusOK {
		return grant, nil
	}
	e := &callError{status: resp.StatusCode}
	switch {
	case resp.StatusCode == http.StatusTooManyRequests, grant.Error == "Access Denied", grant.Error == "access_denied":
		e.class, e.retryAfter = limited, refreshBlock
	case resp.StatusCode >= 500, grant.Error == "":
		e.class = notSent
	default: // invalid_client, invalid_code, …: the client or the refresh token is wrong or revoked
		e.class = unauthorized
	}
	return tokenGrant{}, e
}

// pauseFor waits, or ends early with the context.
func pauseFor(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
