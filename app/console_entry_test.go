package app

import (
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"aiagents/app/adminauth"
	"aiagents/modules/tenant"
)

// consoleVisitor is a browser's worth of HTTP: it keeps cookies and follows no redirect.
func consoleVisitor(t *testing.T, h *harness) {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	h.client.Jar = jar
	h.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
}

// form posts a form as one of our own pages would.
func (h *harness) form(path string, values url.Values, headers ...string) answer {
	h.t.Helper()
	return h.do(http.MethodPost, h.opsURL()+path, []byte(values.Encode()),
		append([]string{"Content-Type", "application/x-www-form-urlencoded", "Origin", h.opsURL(), "Sec-Fetch-Site", "same-origin"}, headers...)...)
}

func TestConsoleIsClosedToStrangers(t *testing.T) {
	t.Parallel()
	h := newHarness(t, withEnviron(envPrefix+"ADMIN_TOKEN="+consoleToken))
	consoleVisitor(t, h)
	h.tenant("acme", nil, nil)
	get := func(path string) answer { return h.do(http.MethodGet, h.opsURL()+path, nil) }
	for _, path := range []string{"/", "/tenants", "/tenants/acme", "/tenants/new", "/runs", "/runs/acme/018f6e1a-0000-7000-8000-000000000000", "/river/", "/river/api/jobs", "/river/api/states", "/nowhere"} {
		a := get("/console" + path)
		require.Equal(t, http.StatusSeeOther, a.status, path)
		require.Equal(t, "/console/login?next="+url.QueryEscape("/console"+path), a.header.Get("Location"))
		require.NotContains(t, a.body, "acme")
	}
	for _, path := range []string{"/tenants", "/tenants/acme/disable", "/tenants/acme/rotate-secret", "/runs/acme/018f6e1a-0000-7000-8000-000000000000/retry", "/river/api/jobs/delete"} {
		a := h.form("/console"+path, nil)
		require.Equal(t, http.StatusUnauthorized, a.status, path)
	}
	require.Equal(t, http.StatusUnauthorized, h.form("/console/login", url.Values{"token": {"wrong"}}).status)
	require.Equal(t, http.StatusSeeOther, get("/").status)
	require.Equal(t, http.StatusOK, get("/console/static/console.css").status, "the sign-in page needs its looks")
	require.Equal(t, http.StatusNotFound, get("/console/static/..%2fconsole.go").status)

	a := h.form("/console/login", url.Values{"token": {consoleToken}, "next": {"https://evil.example/"}})
	require.Equal(t, http.StatusSeeOther, a.status)
	require.Equal(t, "/console/", a.header.Get("Location"), "a sign-in leads nowhere else")
	cookie := a.header.Get("Set-Cookie")
	for _, want := range []string{"HttpOnly", "SameSite=Strict"} {
		require.Contains(t, cookie, want)
	}
	require.NotContains(t, cookie, consoleToken)
	require.Contains(t, get("/console/tenants/acme").body, "Tenant acme")
	require.Equal(t, http.StatusOK, get("/console/river/api/states").status)

	// A session does not make another site's form ours, whatever the browser sends along.
	for _, foreign := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Sec-Fetch-Site", "", "Origin", "https://evil.example"}} {
		for _, path := range []string{"/tenants/acme/disable", "/tenants", "/river/api/queues/default/pause"} {
			require.Equal(t, http.StatusForbidden, h.form("/console"+path, nil, foreign...).status, "%s %v", path, foreign)
		}
	}
	require.Zero(t, scan[int](h, `SELECT count(*) FROM tenant_configs WHERE disabled_at IS NOT NULL`))
	require.Equal(t, http.StatusSeeOther, h.form("/console/tenants/acme/disable", nil).status, "the same from our own page")
	require.Equal(t, 1, scan[int](h, `SELECT count(*) FROM tenant_configs WHERE disabled_at IS NOT NULL`))

	require.Equal(t, http.StatusSeeOther, h.form("/console/logout", nil).status)
	require.Equal(t, http.StatusSeeOther, get("/console/tenants/acme").status)
}

func TestConsoleAnswersCarryTheirHeaders(t *testing.T) {
	t.Parallel()
	h := newHarness(t, withEnviron(envPrefix+"ADMIN_TOKEN="+consoleToken))
	consoleVisitor(t, h)
	require.Equal(t, http.StatusSeeOther, h.form("/console/login", url.Values{"token": {consoleToken}}).status)
	for path, policy := range map[string]string{
		"/": adminauth.Policy, "/tenants": adminauth.Policy, "/login": adminauth.Policy, "/nowhere": adminauth.Policy, "/runs/x/y": adminauth.Policy,
		"/static/console.css": adminauth.Policy, "/river/": "style-src 'self' 'unsafe-inline'",
	} {
		a := h.do(http.MethodGet, h.opsURL()+"/console"+path, nil, "Accept", "text/html")
		require.Contains(t, a.header.Get("Content-Security-Policy"), policy, path)
		require.NotContains(t, a.header.Get("Content-Security-Policy"), "script-src 'self' 'unsafe", path)
		require.Equal(t, "nosniff", a.header.Get("X-Content-Type-Options"), path)
		require.Equal(t, "DENY", a.header.Get("X-Frame-Options"), path)
		if path == "/" || path == "/tenants" {
			require.Equal(t, "no-store", a.header.Get("Cache-Control"), path)
		}
	}
	require.Equal(t, http.StatusNotFound, h.do(http.MethodGet, h.opsURL()+"/console/nowhere", nil).status)
	require.Equal(t, http.StatusNotFound, h.do(http.MethodGet, h.opsURL()+"/console/runs/acme/018f6e1a-0000-7000-8000-000000000000", nil).status)
	require.Equal(t, http.StatusNotFound, h.do(http.MethodGet, h.opsURL()+"/console/tenants/none", nil).status)
	require.Equal(t, http.StatusBadRequest, h.do(http.MethodGet, h.opsURL()+"/console/runs?since=yesterday", nil).status)
}

func TestConsoleIsOffWithoutATokenOutsideDevelopment(t *testing.T) {
	t.Parallel()
	h := newHarness(t, withEnviron(envPrefix+"ENVIRONMENT=staging"))
	for _, path := range []string{"/", "/console/", "/console/login", "/console/river/"} {
		require.Equal(t, http.StatusNotFound, h.do(http.MethodGet, h.opsURL()+path, nil).status, path)
	}
	open := newHarness(t)
	require.Equal(t, http.StatusOK, open.do(http.MethodGet, open.opsURL()+"/console/", nil).status, "in development this machine needs no token")
	require.Equal(t, http.StatusNotFound, open.do(http.MethodGet, open.publicURL()+"/console/", nil).status, "never on the public port")
}

func TestConsoleKeepsKeysToItself(t *testing.T) {
	t.Parallel()
	h := newHarness(t, withEnviron(envPrefix+"ADMIN_TOKEN="+consoleToken))
	consoleVisitor(t, h)
	acme := h.tenant("acme", nil, nil)
	require.Equal(t, http.StatusSeeOther, h.form("/console/login", url.Values{"token": {consoleToken}}).status)
	const key = "CANARY-KEY-0123456789ABCDEF"
	bad := h.form("/console/tenants", url.Values{"id": {"acme"}, "name": {"Twice"}, "servicedesk_url": {acme.desk.url}, "servicedesk_api_key": {key}, "webhook_auth": {tenant.AuthToken}})
	require.Equal(t, http.StatusUnprocessableEntity, statusOrConflict(bad.status), bad.body)
	require.Contains(t, bad.body, "Twice", "what was typed stays")
	require.NotContains(t, bad.body, key)
	wrong := h.form("/console/tenants/acme/key", url.Values{"key": {key}, "version": {"1"}})
	require.Equal(t, http.StatusOK, wrong.status)
	require.Contains(t, wrong.body, "The connection does not work yet")
	require.NotContains(t, wrong.body, key)
	stale := h.form("/console/tenants/acme/key", url.Values{"key": {acme.desk.apiKey}, "version": {"1"}})
	require.Equal(t, http.StatusConflict, stale.status, "two operators do not overwrite each other")
	right := h.form("/console/tenants/acme/key", url.Values{"key": {acme.desk.apiKey}, "version": {"2"}})
	require.Contains(t, right.body, "The connection works")
	for _, text := range []string{h.logs.String(), strings.Join(mapValues(h.dump()), "\n")} {
		require.NotContains(t, text, key)
		require.NotContains(t, text, consoleToken)
	}
}

func statusOrConflict(status int) int {
	if status == http.StatusConflict {
		return http.StatusUnprocessableEntity
	}
	return status
}

func mapValues(m map[string]string) (values []string) {
	for _, v := range m {
		values = append(values, v)
	}
	return values
}
