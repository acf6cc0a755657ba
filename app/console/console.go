package console

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"aiagents/app/adminauth"
	"aiagents/internal/fault"
)

// base is where the console lives. River's interface is below it, so that one sign-in opens both.
const base = "/console"

//go:embed static templates
var files embed.FS

// Console is the operator's interface in a browser.
type Console struct {
	deps   Deps
	pages  map[string]*template.Template
	assets map[string]asset
	river  *riverUI
}

type asset struct {
	body    []byte
	version string
}

// New prepares every page, so that a template with a fault is an error of the start.
func New(d Deps) (*Console, error) {
	if missing := d.missing(); missing != "" {
		return nil, fmt.Errorf("console: missing %s", missing)
	}
	if d.Clock == nil {
		d.Clock = time.Now
	}
	c := &Console{deps: d, pages: map[string]*template.Template{}, assets: map[string]asset{}}
	if err := c.readAssets(); err != nil {
		return nil, err
	}
	if err := c.readPages(); err != nil {
		return nil, err
	}
	var err error
	c.river, err = newRiverUI(d.River, d.Logger)
	return c, err
}

func (c *Console) readAssets() error {
	entries, err := fs.ReadDir(files, "static")
	if err != nil {
		return fmt.Errorf("read console assets: %w", err)
	}
	for _, entry := range entries {
		body, err := files.ReadFile("static/" + entry.Name())
		if err != nil {
			return fmt.Errorf("read console assets: %w", err)
		}
		digest := sha256.Sum256(body)
		c.assets[entry.Name()] = asset{body: body, version: hex.EncodeToString(digest[:6])}
	}
	return nil
}

// readPages pairs every page with the layout. A page defines its own "content".
func (c *Console) readPages() error {
	shared, err := template.New("").Funcs(c.formats()).ParseFS(files, "templates/layout.html", "templates/runs_table.html")
	if err != nil {
		return fmt.Errorf("read console layout: %w", err)
	}
	for _, name := range []string{"login", "message", "overview", "tenants", "tenant", "onboard", "secret", "runs", "run"} {
		page, err := template.Must(shared.Clone()).ParseFS(files, "templates/"+name+".html")
		if err != nil {
			return fmt.Errorf("read console page %s: %w", name, err)
		}
		c.pages[name] = page
	}
	return nil
}

// asset is the address of a file, which changes with its content.
func (c *Console) asset(name string) string {
	return base + "/static/" + name + "?v=" + c.assets[name].version
}

// Mount adds the routes. Everything but the sign-in page and the files that it needs is behind the guard.
func (c *Console) Mount(e *echo.Echo) {
	home := func(ctx echo.Context) error { return ctx.Redirect(http.StatusSeeOther, base+"/") }
	e.GET("/", home)
	e.GET(base, home)
	open := e.Group(base, c.failures)
	open.GET("/login", c.loginPage)
	open.POST("/login", c.login)
	open.POST("/logout", c.logout)
	open.GET("/static/:name", c.static)

	g := e.Group(base, c.failures, c.deps.Guard.Protect(c.refused))
	g.GET("/", c.overview)
	g.GET("/tenants", c.tenants)
	g.GET("/tenants/new", c.onboardForm)
	g.POST("/tenants", c.onboard)
	g.GET("/tenants/:tenant", c.tenant)
	g.POST("/tenants/:tenant/:action", c.tenantAction)
	g.GET("/runs", c.runs)
	g.GET("/runs/:tenant/:run", c.run)
	g.POST("/runs/:tenant/:run/retry", c.retry)
	g.Any("/river", c.river.serve)
	g.Any("/river/*", c.river.serve)
	g.Any("/*", func(echo.Context) error { return fault.New(fault.NotFound, "there is no page at this address") })
}

// Close ends what River's interface keeps in the background.
func (c *Console) Close() { c.river.close() }

// page is what every page gets; Body is its own part.
type page struct {
	Title, Environment, Version string
	SignedIn, CanSignOut, Live  bool
	Sections                    []section
	Flash                       *message
	Now                         time.Time
	Body                        any
}

type section struct {
	Name, Href string
	Current    bool
}

// message is one statement with what to do about it. Tone is ok, warn, bad or info.
type message struct{ Tone, Text, Step string }

// badge is a short word on a state, with a tone that is never the only sign.
type badge struct{ Tone, Text string }

// fact is a line of a list of facts.
type fact struct{ Name, Value string }

// option is a choice of a form.
type option struct {
	Value, Name string
	Selected    bool
}

// ask is a change that wants a second click.
type ask struct {
	Label, Text, Action, Confirm string
	Version                      int64
	Grave                        bool
}

// view is what a handler knows of its page.
type view struct {
	page    string // name of the template
	title   string
	section string // the section of the navigation that the page belongs to
	live    bool   // parts of it may be brought up to date
	status  int
	flash   *message
	body    any
}

// render writes a page. It is made in full before the first byte goes out, so that a failure is never half a page.
func (c *Console) render(ctx echo.Context, v view) error {
	_, signedIn := adminauth.From(ctx.Request().Context())
	p := page{
		Title: v.title, Environment: c.deps.Environment, Version: c.deps.Version, SignedIn: signedIn,
		CanSignOut: signedIn && c.deps.Guard.NeedsLogin(), Live: v.live, Flash: v.flash, Now: c.deps.Clock(), Body: v.body,
	}
	if p.Flash == nil {
		p.Flash = flashes[ctx.QueryParam("done")]
	}
	for _, s := range []section{{Name: "Overview", Href: base + "/"}, {Name: "Runs", Href: base + "/runs"}, {Name: "Tenants", Href: base + "/tenants"}, {Name: "Queue", Href: base + "/river/"}} {
		s.Current = s.Name == v.section
		p.Sections = append(p.Sections, s)
	}
	var out bytes.Buffer
	if err := c.pages[v.page].ExecuteTemplate(&out, "layout", p); err != nil {
		return fmt.Errorf("render %s: %w", v.page, err)
	}
	if v.status == 0 {
		v.status = http.StatusOK
	}
	return ctx.HTMLBlob(v.status, out.Bytes())
}

// flashes are what a page says after a redirect. The address names one of them, so nobody can make the page say anything else.
var flashes = map[string]*message{
	"enabled":  {Tone: "ok", Text: "The tenant is enabled: its webhooks are taken again."},
	"disabled": {Tone: "warn", Text: "The tenant is disabled: its webhooks are refused from now on, and nothing of it is deleted."},
	"retried":  {Tone: "ok", Text: "The run is queued again. This page shows how far it has come."},
}

// failures shows errors as pages. It stands before the router's own error handler, which answers in JSON and logs.
func (c *Console) failures(next echo.HandlerFunc) echo.HandlerFunc {
	return func(ctx echo.Context) error {
		adminauth.Headers(ctx, "") // redirects and failures carry them too
		err := next(ctx)
		if err == nil || ctx.Response().Committed {
			return err
		}
		return c.fail(ctx, err)
	}
}

// failed is the body of the page of an error.
type failed struct{ Text, Step, RequestID string }

func (c *Console) fail(ctx echo.Context, err error) error {
	f, status := explain(err)
	id := ctx.Response().Header().Get("X-Request-Id")
	v := view{page: "message", status: status, title: titles[status]}
	if v.title == "" {
		v.title = "That did not work"
	}
	body := failed{Text: sentence(f.Message)}
	level := slog.LevelInfo
	if status >= http.StatusInternalServerError {
		level, body.RequestID = slog.LevelError, id
	}
	if f.Kind == fault.Internal {
		body.Text = "Something went wrong on our side."
		body.Step = "Try again. When it stays, look for the request id in the log."
	}
	if f.Kind == fault.Unavailable {
		body.Step = "Try again in a moment. When it stays, run 'aiagents doctor'."
	}
	c.deps.Logger.LogAttrs(ctx.Request().Context(), level, "console request failed", slog.String("method", ctx.Request().Method),
		slog.String("route", ctx.Path()), slog.Int("status", status), slog.Any("error", err))
	v.body = body
	return c.render(ctx, v)
}

var titles = map[int]string{
	http.StatusNotFound: "Not found", http.StatusForbidden: "Not allowed", http.StatusConflict: "That cannot be done now",
	http.StatusTooManyRequests: "Too many attempts", http.StatusServiceUnavailable: "Not available right now",
}

// explain finds the fault of an error, with its status; what is not classified is internal.
func explain(err error) (*fault.Error, int) {
	var f *fault.Error
	var he *echo.HTTPError
	switch {
	case errors.As(err, &f):
	case errors.As(err, &he) && he.Code == http.StatusNotFound:
		f = fault.New(fault.NotFound, "there is no page at this address")
	case errors.As(err, &he) && he.Code == http.StatusMethodNotAllowed:
		f = fault.New(fault.Invalid, "this address does not take this method")
	default:
		f = fault.Wrap(fault.Internal, err, "internal error")
	}
	return f, f.Kind.HTTPStatus()
}

// sentence begins with a capital and ends with a full stop.
func sentence(s string) string {
	if s == "" {
		return s
	}
	s = strings.ToUpper(s[:1]) + s[1:]
	if !strings.ContainsAny(s[len(s)-1:], ".!?") {
		s += "."
	}
	return s
}

// static serves a file of the console. Its address has a digest, so it may be kept for good.
func (c *Console) static(ctx echo.Context) error {
	a, ok := c.assets[ctx.Param("name")]
	if !ok {
		return fault.New(fault.NotFound, "there is no such file")
	}
	if ctx.QueryParam("v") == a.version {
		ctx.Response().Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	kinds := map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
	return ctx.Blob(http.StatusOK, kinds[path.Ext(ctx.Param("name"))], a.body)
}

// signIn is the body of the sign-in page.
type signIn struct{ Next, Fault string }

func (c *Console) loginPage(ctx echo.Context) error {
	next := ownPath(ctx.QueryParam("next"))
	if _, err := c.deps.Guard.Authenticate(ctx); err == nil {
		return ctx.Redirect(http.StatusSeeOther, next)
	}
	return c.render(ctx, view{page: "login", title: "Sign in", body: signIn{Next: next}})
}

func (c *Console) login(ctx echo.Context) error {
	next := ownPath(ctx.FormValue("next"))
	err := c.deps.Guard.Login(ctx, strings.TrimSpace(ctx.FormValue("token")))
	if err == nil {
		return ctx.Redirect(http.StatusSeeOther, next)
	}
	f, status := explain(err)
	text := sentence(f.Message)
	if f.Kind == fault.Unauthenticated {
		text = "That is not the token."
	}
	return c.render(ctx, view{page: "login", title: "Sign in", status: status, body: signIn{Next: next, Fault: text}})
}

func (c *Console) logout(ctx echo.Context) error {
	if err := c.deps.Guard.Logout(ctx); err != nil {
		return err
	}
	return ctx.Redirect(http.StatusSeeOther, base+"/login")
}

// refused sends people to the sign-in page and back to where they wanted to go. A form that was sent too late, or by another
// site's page, is told so.
func (c *Console) refused(ctx echo.Context, err error) error {
	r := ctx.Request()
	if fault.Is(err, fault.Unauthenticated) && c.deps.Guard.NeedsLogin() && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		return ctx.Redirect(http.StatusSeeOther, base+"/login?next="+url.QueryEscape(r.URL.RequestURI()))
	}
	return c.fail(ctx, err)
}

// ownPath is a path of the console, and its start page for anything else: a sign-in must not lead to another site.
func ownPath(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.Scheme != "" || u.Host != "" || !strings.HasPrefix(u.Path, base+"/") || strings.Contains(next, "\\") || path.Clean(u.Path) != strings.TrimSuffix(u.Path, "/") {
		return base + "/"
	}
	return u.RequestURI()
}
