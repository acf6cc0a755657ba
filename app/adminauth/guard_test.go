package adminauth_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/require"

	"aiagents/app/adminauth"
	"aiagents/internal/fault"
	"aiagents/internal/secret"
)

const token = "correct horse battery staple"

// site is a guarded router on a clock of its own.
type site struct {
	t     *testing.T
	guard *adminauth.Guard
	echo  *echo.Echo

	mu  sync.Mutex
	now time.Time
}

func newSite(t *testing.T, change func(*adminauth.Config)) *site {
	t.Helper()
	s := &site{t: t, now: time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)}
	cfg := adminauth.Config{Token: secret.New(token), Clock: s.clock}
	if change != nil {
		change(&cfg)
	}
	var err error
	s.guard, err = adminauth.New(cfg)
	require.NoError(t, err)
	s.echo = echo.New()
	s.echo.IPExtractor = echo.ExtractIPDirect()
	who := func(c echo.Context) error {
		id, ok := adminauth.From(c.Request().Context())
		if !ok {
			return c.NoContent(http.StatusTeapot)
		}
		return c.String(http.StatusOK, id.By+" "+id.Actor())
	}
	s.echo.HTTPErrorHandler = func(err error, c echo.Context) {
		_ = c.String(fault.KindOf(err).HTTPStatus(), fault.KindOf(err).String())
	}
	s.echo.Any("/in", who, s.guard.Protect(nil))
	s.echo.POST("/login", func(c echo.Context) error {
		if err := s.guard.Login(c, c.FormValue("token")); err != nil {
			return err
		}
		return c.NoContent(http.StatusNoContent)
	})
	s.echo.POST("/logout", func(c echo.Context) error {
		if err := s.guard.Logout(c); err != nil {
			return err
		}
		return c.NoContent(http.StatusNoContent)
	})
	return s
}

func (s *site) clock() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

func (s *site) wait(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(d)
}

// send asks from 192.0.2.7, with headers in pairs.
func (s *site) send(method, path, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(context.Background(), method, path, strings.NewReader(body))
	r.RemoteAddr, r.Host = "192.0.2.7:5000", "ops.example"
	for i := 0; i < len(headers); i += 2 {
		switch headers[i] {
		case "remote":
			r.RemoteAddr = headers[i+1]
		case "Host":
			r.Host = headers[i+1]
		default:
			r.Header.Set(headers[i], headers[i+1])
		}
	}
	w := httptest.NewRecorder()
	s.echo.ServeHTTP(w, r)
	return w
}

func (s *site) login(headers ...string) *http.Cookie {
	s.t.Helper()
	headers = append([]string{"Content-Type", "application/x-www-form-urlencoded"}, headers...)
	w := s.send(http.MethodPost, "/login", "token="+strings.ReplaceAll(token, " ", "+"), headers...)
	require.Equal(s.t, http.StatusNoContent, w.Code)
	require.Len(s.t, w.Result().Cookies(), 1)
	return w.Result().Cookies()[0]
}

func (s *site) with(c *http.Cookie, headers ...string) *httptest.ResponseRecorder {
	return s.send(http.MethodGet, "/in", "", append([]string{"Cookie", c.Name + "=" + c.Value}, headers...)...)
}

func TestOnlyTheTokenOpens(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	w := s.send(http.MethodGet, "/in", "", "Authorization", "Bearer "+token)
	require.Equal(t, http.StatusOK, w.Code)
	require.Equal(t, "token admin:192.0.2.7", w.Body.String())
	for name, header := range map[string]string{
		"none": "", "another": "Bearer wrong", "a part": "Bearer " + token[:10], "a longer one": "Bearer " + token + "x",
		"empty": "Bearer ", "another scheme": "Basic " + token,
	} {
		w := s.send(http.MethodGet, "/in", "", "Authorization", header)
		require.Equal(t, http.StatusUnauthorized, w.Code, name)
		require.Equal(t, "unauthenticated", w.Body.String(), name)
		require.Equal(t, `Bearer realm="aiagents"`, w.Header().Get("WWW-Authenticate"), name)
	}
}

func TestASessionIsACookieWithoutTheToken(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	c := s.login()
	require.NotContains(t, c.Value, token)
	require.True(t, c.HttpOnly)
	require.Equal(t, http.SameSiteStrictMode, c.SameSite)
	require.Equal(t, "/", c.Path)
	require.False(t, c.Secure, "over plain http the browser would not send it back")
	require.Equal(t, "session admin:192.0.2.7", s.with(c).Body.String())
	require.NotEqual(t, c.Value, s.login().Value, "every session has an id of its own")

	secure := s.login("X-Forwarded-Proto", "https")
	require.True(t, secure.Secure)
	require.Equal(t, "__Host-aiagents_session", secure.Name)
	require.Equal(t, http.StatusOK, s.with(secure).Code)
}

func TestAnyReplicaKnowsASessionAndAnotherTokenEndsIt(t *testing.T) {
	t.Parallel()
	c := newSite(t, nil).login()
	require.Equal(t, http.StatusOK, newSite(t, nil).with(c).Code)
	changed := newSite(t, func(cfg *adminauth.Config) { cfg.Token = secret.New("another token altogether") })
	require.Equal(t, http.StatusUnauthorized, changed.with(c).Code)
	gone := newSite(t, func(cfg *adminauth.Config) { cfg.Token = secret.Secret{} })
	require.Equal(t, http.StatusUnauthorized, gone.with(c).Code)
}

func TestAChangedCookieIsRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	c := s.login()
	for i := range len(c.Value) {
		forged := *c
		flip := byte('A')
		if c.Value[i] == flip {
			flip = 'B'
		}
		forged.Value = c.Value[:i] + string(flip) + c.Value[i+1:]
		require.Equal(t, http.StatusUnauthorized, s.with(&forged).Code, "byte %d", i)
	}
	for _, value := range []string{"", "AAAA", strings.Repeat("A", len(c.Value)), c.Value + "A", c.Value[:len(c.Value)-2]} {
		forged := *c
		forged.Value = value
		require.Equal(t, http.StatusUnauthorized, s.with(&forged).Code, value)
	}
}

func TestASessionEndsWhenItIsIdleAndInAnyCase(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	c := s.login()
	s.wait(29 * time.Minute)
	w := s.with(c)
	require.Equal(t, http.StatusOK, w.Code)
	require.Len(t, w.Result().Cookies(), 1, "a session in use gets a fresh cookie")
	fresh := w.Result().Cookies()[0]
	s.wait(29 * time.Minute)
	require.Equal(t, http.StatusUnauthorized, s.with(c).Code, "the old cookie was idle for too long")
	require.Equal(t, http.StatusOK, s.with(fresh).Code)

	c = s.login()
	require.Empty(t, s.with(c).Result().Cookies(), "not every answer sets a cookie")
	for range 12*4 - 1 {
		s.wait(15 * time.Minute)
		w := s.with(c)
		require.Equal(t, http.StatusOK, w.Code)
		c = w.Result().Cookies()[0]
	}
	s.wait(15 * time.Minute)
	require.Equal(t, http.StatusUnauthorized, s.with(c).Code, "twelve hours are over, however busy it was")
}

func TestLogoutTakesTheCookieBack(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	c := s.login()
	w := s.send(http.MethodPost, "/logout", "", "Cookie", c.Name+"="+c.Value)
	require.Len(t, w.Result().Cookies(), 1)
	require.Empty(t, w.Result().Cookies()[0].Value)
	require.Negative(t, w.Result().Cookies()[0].MaxAge)
}

// A browser adds the cookie whichever site asks; a bearer token it never adds.
func TestAnotherSitesPageChangesNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	c := s.login()
	cookie := c.Name + "=" + c.Value
	for _, headers := range [][]string{
		{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.example"}, {"Origin", "null"},
	} {
		for _, path := range []string{"/in", "/login", "/logout"} {
			w := s.send(http.MethodPost, path, "", append([]string{"Cookie", cookie}, headers...)...)
			require.Equal(t, http.StatusForbidden, w.Code, "%s %v", path, headers)
			require.Empty(t, w.Result().Cookies())
		}
	}
	for _, headers := range [][]string{{"Sec-Fetch-Site", "same-origin"}, {"Origin", "http://ops.example"}, nil} {
		w := s.send(http.MethodPost, "/in", "", append([]string{"Cookie", cookie}, headers...)...)
		require.Equal(t, http.StatusOK, w.Code, "%v", headers)
	}
	require.Equal(t, http.StatusOK, s.with(c, "Sec-Fetch-Site", "cross-site").Code, "following a link changes nothing; SameSite decides about the cookie")
	w := s.send(http.MethodPost, "/in", "", "Authorization", "Bearer "+token, "Origin", "https://evil.example")
	require.Equal(t, http.StatusOK, w.Code)
}

func TestGuessesAreLimitedByAddressAndInTotal(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	guess := func(from string) int {
		return s.send(http.MethodGet, "/in", "", "Authorization", "Bearer wrong", "remote", from).Code
	}
	right := func(from string) int {
		return s.send(http.MethodGet, "/in", "", "Authorization", "Bearer "+token, "remote", from).Code
	}
	require.Equal(t, http.StatusOK, right("198.51.100.9:1"))
	for range 10 {
		require.Equal(t, http.StatusUnauthorized, guess("192.0.2.7:1"))
	}
	require.Equal(t, http.StatusTooManyRequests, guess("192.0.2.7:2"), "the port does not count")
	require.Equal(t, http.StatusTooManyRequests, right("192.0.2.7:3"), "or the limit would tell which guess was right")
	require.Equal(t, http.StatusUnauthorized, guess("192.0.2.8:1"), "another address")
	s.wait(6 * time.Second)
	require.Equal(t, http.StatusOK, right("192.0.2.7:4"))

	// One sender has a whole /64 of IPv6.
	for range 10 {
		require.Equal(t, http.StatusUnauthorized, guess("[2001:db8::1]:1"))
	}
	require.Equal(t, http.StatusTooManyRequests, guess("[2001:db8::2]:1"))

	// From many addresses: the total.
	codes := map[int]int{}
	for i := range 200 {
		codes[guess("203.0.113."+strings.Repeat("1", i/100+1)+"0:1")]++
		codes[guess("10.0."+string(rune('0'+i/10%10))+"."+string(rune('0'+i%10))+":1")]++
	}
	require.Positive(t, codes[http.StatusTooManyRequests])
	require.Equal(t, http.StatusTooManyRequests, right("198.51.100.10:1"))
	require.Equal(t, http.StatusOK, right("198.51.100.9:1"), "an address that proved itself is not locked out by others")
}

func TestLoginsAreLimitedToo(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	codes := map[int]int{}
	for range 15 {
		w := s.send(http.MethodPost, "/login", "token=wrong", "Content-Type", "application/x-www-form-urlencoded")
		codes[w.Code]++
		require.Empty(t, w.Result().Cookies())
	}
	require.Equal(t, map[int]int{http.StatusUnauthorized: 10, http.StatusTooManyRequests: 5}, codes)
}

func TestWithoutATokenOnlyThisMachineIsLetInAndOnlyWhenAllowed(t *testing.T) {
	t.Parallel()
	off := newSite(t, func(cfg *adminauth.Config) { cfg.Token = secret.Secret{} })
	require.False(t, off.guard.Enabled())
	require.Equal(t, http.StatusUnauthorized, off.send(http.MethodGet, "/in", "", "remote", "127.0.0.1:1", "Host", "localhost:8081").Code)
	require.Equal(t, http.StatusUnauthorized, off.send(http.MethodGet, "/in", "", "Authorization", "Bearer ").Code, "no token is not the empty token")

	open := newSite(t, func(cfg *adminauth.Config) { cfg.Token, cfg.OpenLocally = secret.Secret{}, true })
	require.True(t, open.guard.Enabled())
	require.False(t, open.guard.NeedsLogin())
	for _, headers := range [][]string{
		{"remote", "127.0.0.1:1", "Host", "localhost:8081"}, {"remote", "127.0.0.1:1", "Host", "127.0.0.1:8081"}, {"remote", "[::1]:1", "Host", "[::1]:8081"},
	} {
		require.Equal(t, http.StatusOK, open.send(http.MethodPost, "/in", "", headers...).Code, headers)
	}
	for name, headers := range map[string][]string{
		"another machine":                {"remote", "192.0.2.7:1", "Host", "localhost:8081"},
		"a name that points at loopback": {"remote", "127.0.0.1:1", "Host", "evil.example:8081"},
		"a proxy in front":               {"remote", "127.0.0.1:1", "Host", "localhost:8081", "X-Forwarded-For", "192.0.2.7"},
		"another proxy":                  {"remote", "127.0.0.1:1", "Host", "localhost:8081", "Forwarded", "for=192.0.2.7"},
		"any bearer":                     {"remote", "127.0.0.1:1", "Host", "localhost:8081", "Authorization", "Bearer x"},
	} {
		require.Equal(t, http.StatusUnauthorized, open.send(http.MethodGet, "/in", "", headers...).Code, name)
	}
	w := open.send(http.MethodPost, "/in", "", "remote", "127.0.0.1:1", "Host", "localhost:8081", "Origin", "https://evil.example")
	require.Equal(t, http.StatusForbidden, w.Code, "a page of another site, in the developer's own browser")
}

func TestEveryAnswerHasTheSecurityHeaders(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	for _, w := range []*httptest.ResponseRecorder{
		s.send(http.MethodGet, "/in", "", "Authorization", "Bearer "+token), s.send(http.MethodGet, "/in", ""),
	} {
		h := w.Header()
		require.Equal(t, adminauth.Policy, h.Get("Content-Security-Policy"))
		require.Equal(t, "nosniff", h.Get("X-Content-Type-Options"))
		require.Equal(t, "no-store", h.Get("Cache-Control"))
		require.Equal(t, "same-origin", h.Get("Referrer-Policy"))
	}
	require.NotContains(t, adminauth.Policy, "unsafe")
	require.Contains(t, adminauth.Policy, "frame-ancestors 'none'")
}

func TestARefusalCanBeAnsweredInAnotherWay(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.echo.GET("/page", func(c echo.Context) error { return c.NoContent(http.StatusOK) },
		s.guard.Protect(func(c echo.Context, _ error) error { return c.Redirect(http.StatusSeeOther, "/login") }))
	w := s.send(http.MethodGet, "/page", "")
	require.Equal(t, http.StatusSeeOther, w.Code)
	require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
}
