package adminauth

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
)

func withIdentity(ctx context.Context, who Identity) context.Context {
	return context.WithValue(ctx, identityKey{}, who)
}

// From returns who was let in by Protect.
func From(ctx context.Context) (Identity, bool) {
	who, ok := ctx.Value(identityKey{}).(Identity)
	return who, ok
}

// The name of the cookie. Over TLS its prefix makes the browser hold it to this host and to TLS.
const (
	plainCookie  = "aiagents_session"
	secureCookie = "__Host-aiagents_session"
)

// session is what a cookie says: a random id and two times. Nothing of it is kept on our side.
type session struct {
	id      [16]byte
	started time.Time
	seen    time.Time
}

const sessionLength = 1 + 16 + 8 + 8

// sessionVersion is the first byte, so that another form can be told from this one.
const sessionVersion = 1

var encoding = base64.RawURLEncoding.Strict()

func (g *Guard) seal(s session) string {
	raw := make([]byte, 0, sessionLength+sha256.Size)
	raw = append(raw, sessionVersion)
	raw = append(raw, s.id[:]...)
	raw = binary.BigEndian.AppendUint64(raw, uint64(s.started.Unix()))
	raw = binary.BigEndian.AppendUint64(raw, uint64(s.seen.Unix()))
	return encoding.EncodeToString(append(raw, g.mac(raw)...))
}

func (g *Guard) mac(raw []byte) []byte {
	mac := hmac.New(sha256.New, g.sealing)
	mac.Write(raw)
	return mac.Sum(nil)
}

// open returns the session of a cookie that we sealed and that has not ended.
func (g *Guard) open(cookie string) (session, bool) {
	raw, err := encoding.DecodeString(cookie)
	if err != nil || len(raw) != sessionLength+sha256.Size {
		return session{}, false
	}
	body, mac := raw[:sessionLength], raw[sessionLength:]
	if !hmac.Equal(mac, g.mac(body)) || body[0] != sessionVersion {
		return session{}, false
	}
	var s session
	copy(s.id[:], body[1:])
	s.started = time.Unix(int64(binary.BigEndian.Uint64(body[17:])), 0)
	s.seen = time.Unix(int64(binary.BigEndian.Uint64(body[25:])), 0)
	now := g.cfg.Clock()
	if now.Sub(s.started) >= g.cfg.Lifetime || now.Sub(s.seen) >= g.cfg.IdleTimeout {
		return session{}, false
	}
	return s, true
}

func (g *Guard) session(r *http.Request) (session, bool) {
	for _, name := range []string{secureCookie, plainCookie} {
		if cookie, err := r.Cookie(name); err == nil {
			if s, ok := g.open(cookie.Value); ok {
				return s, true
			}
		}
	}
	return session{}, false
}

// refresh moves the idle limit, in steps, so that not every answer sets a cookie.
func (g *Guard) refresh(c echo.Context, s session) {
	now := g.cfg.Clock()
	if now.Sub(s.seen) < g.cfg.IdleTimeout/10 {
		return
	}
	s.seen = now
	g.setCookie(c, g.seal(s), int(min(g.cfg.IdleTimeout, g.cfg.Lifetime-now.Sub(s.started)).Seconds()))
}

// Login begins a session for the token: it sets the cookie, and nothing else of the answer. The fault is Unauthenticated for
// a wrong token, Limited after too many, and Forbidden for a form on another site.
func (g *Guard) Login(c echo.Context, token string) error {
	if err := g.sameSite(c.Request()); err != nil {
		return err
	}
	if err := g.checkToken(c.RealIP(), token); err != nil {
		return err
	}
	// Sealed times are whole seconds; the session begins with this one.
	now := g.cfg.Clock()
	s := session{started: now, seen: now}
	_, _ = rand.Read(s.id[:]) // never fails, see crypto/rand
	g.setCookie(c, g.seal(s), int(g.cfg.IdleTimeout.Seconds()))
	return nil
}

// Logout takes the session's cookie back from the browser. A copy that somebody else kept ends with its idle limit, or with the
// token: sessions are kept nowhere, so that every replica knows them all.
func (g *Guard) Logout(c echo.Context) error {
	if err := g.sameSite(c.Request()); err != nil {
		return err
	}
	g.setCookie(c, "", -1)
	return nil
}

func (g *Guard) setCookie(c echo.Context, value string, seconds int) {
	secure := c.IsTLS() || strings.EqualFold(c.Request().Header.Get(echo.HeaderXForwardedProto), "https")
	name := plainCookie
	if secure {
		name = secureCookie
	}
	c.SetCookie(&http.Cookie{ //nolint:gosec // Secure where there is TLS; on plain http the browser would not send it back
		Name: name, Value: value, Path: "/", MaxAge: seconds, HttpOnly: true, Secure: secure, SameSite: http.SameSiteStrictMode,
	})
}
