package servicedesk

import (
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// OAuth is the Cloud editions' client. The token endpoint is /oauth/v2/token on the
// desk's own handler.
type OAuth struct {
	ClientID, ClientSecret, RefreshToken string
}

// complete reports whether a refresh can work at all.
func (o OAuth) complete() bool {
	return o.ClientID != "" && o.ClientSecret != "" && o.RefreshToken != ""
}

// The limits of Zoho's accounts server.
const (
	tokenLife      = time.Hour
	tokensPerSpan  = 10
	tokenSpan      = 10 * time.Minute
	tokensInForce  = 30
	keyHeader      = "authtoken"
	keyHeaderOrArg = "TECHNICIAN_KEY"
)

// token is an access token; it lives for tokenLife from issued.
type token struct {
	value  string
	issued time.Time
}

// authority knows keys and tokens.
type authority struct {
	mu     sync.Mutex
	clock  func() time.Time
	oauth  OAuth
	main   Technician
	others []Technician
	tokens []token     // in force, oldest first
	grants []time.Time // of the last ten minutes
	issued int
}

// newAuthority knows the main technician and the further ones.
func newAuthority(o Options) *authority {
	return &authority{
		clock: o.Clock, oauth: o.OAuth, others: o.Technicians,
		main: Technician{Key: o.APIKey, Name: o.Author},
	}
}

func (a *authority) setKey(key string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.main.Key = key
}

func (a *authority) revokeAll() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.tokens = nil
}

// byKey never matches the empty key, so that an unset option opens nothing.
func (a *authority) byKey(key string) (Technician, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if key == "" {
		return Technician{}, false
	}
	if key == a.main.Key {
		return a.main, true
	}
	for _, t := range a.others {
		if t.Key == key {
			return t, true
		}
	}
	return Technician{}, false
}

// byToken finds tokens in force: not expired, not revoked, not pushed out by newer ones.
func (a *authority) byToken(value string) (Technician, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.clock()
	for _, t := range a.tokens {
		if value != "" && t.value == value && now.Sub(t.issued) < tokenLife {
			return a.main, true
		}
	}
	return Technician{}, false
}

// authenticate sets the technician behind the call or refuses it.
func (d *Desk) authenticate(c *call) *reply {
	if c.op() == OAuthToken {
		return nil
	}
	var ok bool
	switch auth := c.Header.Get("Authorization"); {
	case d.opts.Edition == Generic:
		key, found := strings.CutPrefix(auth, "Bearer ")
		if c.tech, ok = d.auth.byKey(key); !found || !ok {
			return genericFailure(http.StatusUnauthorized, "invalid token")
		}
		return nil
	case d.opts.Edition.cloud():
		value, found := strings.CutPrefix(auth, "Zoho-oauthtoken ")
		c.tech, ok = d.auth.byToken(value)
		ok = ok && found
	case c.op() == AccountsList:
		c.tech, ok = d.auth.byKey(c.form.Get(keyHeaderOrArg))
	default:
		key := c.Header.Get(keyHeader)
		if key == "" {
			key = c.Header.Get(keyHeaderOrArg)
		}
		if key == "" {
			key = c.form.Get(keyHeaderOrArg)
		}
		c.tech, ok = d.auth.byKey(key)
	}
	if ok {
		return nil
	}
	if wait, over := d.limits.over("failed authentication", d.opts.FailedAuthPerMinute); over {
		return tooMany(wait)
	}
	return failure(badKey)
}

var tokenRoutes = []*route{on("POST", "token", OAuthToken, (*Desk).grantToken)}

// grantToken is the refresh_token grant. Its refusals come with HTTP 200 and an
// error member, except for too many grants, as on the real accounts server.
func (d *Desk) grantToken(c *call) *reply {
	a := d.auth
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case c.form.Get("grant_type") != "refresh_token":
		return oauthError("unsupported_grant_type")
	case c.form.Get("client_id") != a.oauth.ClientID:
		return oauthError("invalid_client")
	case c.form.Get("client_secret") != a.oauth.ClientSecret:
		return oauthError("invalid_client_secret")
	case c.form.Get("refresh_token") != a.oauth.RefreshToken:
		return oauthError("invalid_code")
	}
	now := a.clock()
	for len(a.grants) > 0 && now.Sub(a.grants[0]) >= tokenSpan {
		a.grants = a.grants[1:]
	}
	if len(a.grants) >= tokensPerSpan {
		return jsonReply(http.StatusBadRequest, map[string]any{
			"error": "Access Denied", "status": "failure",
			"error_description": "You have made too many requests continuously. Please try again after some time.",
		})
	}
	a.issued++
	t := token{value: "1000." + strconv.Itoa(a.issued) + ".simulated", issued: now}
	a.grants = append(a.grants, now)
	a.tokens = append(a.tokens, t)
	if len(a.tokens) > tokensInForce {
		a.tokens = a.tokens[1:]
	}
	return jsonReply(http.StatusOK, map[string]any{
		"access_token": t.value, "expires_in": int(tokenLife.Seconds()), "token_type": "Bearer",
		"api_domain": "http://" + c.Host,
	})
}

// oauthError is a refusal that looks like a success to a client that reads only the status.
func oauthError(code string) *reply {
	return jsonReply(http.StatusOK, map[string]any{"error": code})
}

// windows counts per name and clock minute.
type windows struct {
	mu    sync.Mutex
	clock func() time.Time
	start map[string]time.Time
	used  map[string]int
}

// newWindows counts by the desk's clock.
func newWindows(clock func() time.Time) *windows {
	return &windows{clock: clock, start: map[string]time.Time{}, used: map[string]int{}}
}

// over counts one use and tells whether the limit is passed, and for how long. A
// limit of 0 is none.
func (w *windows) over(name string, limit int) (time.Duration, bool) {
	if limit == 0 {
		return 0, false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.clock()
	minute := now.Truncate(time.Minute)
	if !w.start[name].Equal(minute) {
		w.start[name], w.used[name] = minute, 0
	}
	w.used[name]++
	return minute.Add(time.Minute).Sub(now), w.used[name] > limit
}
