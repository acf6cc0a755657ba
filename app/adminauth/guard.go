package adminauth

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"aiagents/internal/fault"
	"aiagents/internal/secret"
)

// Config says what opens the operator's interfaces, and for how long.
type Config struct {
	// Token is the admin token. Without one, nothing is let in but what OpenLocally allows.
	Token secret.Secret
	// OpenLocally lets requests of this machine in while there is no token. It is meant for development.
	OpenLocally bool
	// IdleTimeout ends a session that is not used; 0 takes 30 minutes.
	IdleTimeout time.Duration
	// Lifetime ends a session however much it is used; 0 takes 12 hours.
	Lifetime time.Duration
	// Clock is the time; nil takes the real one.
	Clock func() time.Time
}

const (
	defaultIdle     = 30 * time.Minute
	defaultLifetime = 12 * time.Hour
)

// The codes of refusals.
const (
	// CodeRequired is answered to a request without a valid credential.
	CodeRequired = "AUTHENTICATION_REQUIRED"
	// CodeCrossSite is answered to a change that another site's page asked for.
	CodeCrossSite = "CROSS_SITE_REQUEST"
)

// Guard lets operators in. It is safe for concurrent use.
type Guard struct {
	cfg     Config
	digest  [sha256.Size]byte // of the token
	sealing []byte            // key of the cookies' MAC
	origin  *http.CrossOriginProtection
	limits  *throttle
}

// New derives what is needed from the token, so that the token itself is compared and sealed nowhere.
func New(cfg Config) (*Guard, error) {
	if cfg.IdleTimeout == 0 {
		cfg.IdleTimeout = defaultIdle
	}
	if cfg.Lifetime == 0 {
		cfg.Lifetime = defaultLifetime
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	material := []byte(cfg.Token.Reveal())
	if !cfg.Token.IsSet() {
		// A key that nobody knows: whatever is checked against it is refused.
		material = make([]byte, sha256.Size)
		_, _ = rand.Read(material) // never fails, see crypto/rand
	}
	key, err := hkdf.Key(sha256.New, material, nil, "aiagents admin session v1", sha256.Size)
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "the key of admin sessions cannot be derived")
	}
	return &Guard{
		cfg: cfg, digest: sha256.Sum256(material), sealing: key,
		origin: http.NewCrossOriginProtection(), limits: newThrottle(),
	}, nil
}

// Enabled reports whether anybody can be let in at all. Where it is false, nothing should be mounted, so that the interfaces
// answer what any unknown address answers.
func (g *Guard) Enabled() bool { return g.cfg.Token.IsSet() || g.cfg.OpenLocally }

// NeedsLogin reports whether there is a token to log in with.
func (g *Guard) NeedsLogin() bool { return g.cfg.Token.IsSet() }

// The ways in.
const (
	ByToken   = "token"
	BySession = "session"
	ByPlace   = "local" // development without a token
)

// Identity is somebody who was let in.
type Identity struct {
	// By is the way in: token, session or local.
	By string
	// Address is where the request came from, as far as trusted proxies can be believed.
	Address string
}

// Actor names who acts, for the audit log.
func (i Identity) Actor() string { return "admin:" + i.Address }

// Authenticate lets a request in or says why not, as a fault of kind Unauthenticated, Forbidden or Limited. A session that is
// in use gets a fresh cookie now and then.
func (g *Guard) Authenticate(c echo.Context) (Identity, error) {
	who := Identity{Address: c.RealIP()}
	if token, ok := bearer(c.Request()); ok {
		who.By = ByToken
		return who, g.checkToken(who.Address, token)
	}
	if err := g.sameSite(c.Request()); err != nil {
		return Identity{}, err
	}
	if !g.cfg.Token.IsSet() {
		who.By = ByPlace
		if g.cfg.OpenLocally && local(c.Request()) {
			return who, nil
		}
		return Identity{}, errRequired()
	}
	if s, ok := g.session(c.Request()); ok {
		who.By = BySession
		g.refresh(c, s)
		return who, nil
	}
	return Identity{}, errRequired()
}

func errRequired() error {
	return fault.New(fault.Unauthenticated, "this needs the admin token, as Authorization: Bearer, or a session").WithCode(CodeRequired)
}

func bearer(r *http.Request) (string, bool) {
	scheme, token, ok := strings.Cut(r.Header.Get(echo.HeaderAuthorization), " ")
	return strings.TrimSpace(token), ok && strings.EqualFold(scheme, "bearer")
}

// checkToken compares digests, so that neither the length nor a common beginning of the texts shows in the time it takes.
func (g *Guard) checkToken(address, token string) error {
	digest := sha256.Sum256([]byte(token))
	right := subtle.ConstantTimeCompare(digest[:], g.digest[:]) == 1 && g.cfg.Token.IsSet()
	if wait, ok := g.limits.judge(address, right, g.cfg.Clock()); !ok {
		return fault.New(fault.Limited, "too many wrong tokens; wait and try again").WithRetryAfter(wait)
	}
	if !right {
		return errRequired()
	}
	return nil
}

// sameSite refuses a change that a browser was led to by another site's page: the browser adds a cookie, and reaches
// this machine, whoever asked. A bearer token is never added by a browser on its own.
func (g *Guard) sameSite(r *http.Request) error {
	if err := g.origin.Check(r); err != nil {
		return fault.Wrap(fault.Forbidden, err, "changes must be made from this site's own pages").WithCode(CodeCrossSite)
	}
	return nil
}

// local reports whether a request comes from this machine and is meant for it. The name in the address must be this machine's
// too, or a page of another site could reach us through a name that it points at loopback; and a proxy in front speaks for others.
func local(r *http.Request) bool {
	remote, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !remote.Addr().Unmap().IsLoopback() {
		return false
	}
	for _, header := range []string{"Forwarded", echo.HeaderXForwardedFor, echo.HeaderXRealIP, "X-Forwarded-Host"} {
		if r.Header.Get(header) != "" {
			return false
		}
	}
	host := (&url.URL{Host: r.Host}).Hostname()
	addr, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && addr.IsLoopback()
}

type identityKey struct{}

// Protect lets a request through to next when it is let in, with the headers of Headers. refused, where given, answers the
// others; nil leaves the fault to the router's error handler.
func (g *Guard) Protect(refused func(c echo.Context, err error) error) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			Headers(c, "")
			who, err := g.Authenticate(c)
			if err != nil {
				if refused != nil {
					return refused(c, err)
				}
				if fault.Is(err, fault.Unauthenticated) {
					c.Response().Header().Set(echo.HeaderWWWAuthenticate, `Bearer realm="aiagents"`)
				}
				return err
			}
			c.SetRequest(c.Request().WithContext(withIdentity(c.Request().Context(), who)))
			return next(c)
		}
	}
}
