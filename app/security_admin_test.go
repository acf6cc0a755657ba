package app

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"aiagents/app/adminapi"
	"aiagents/internal/simulator/openai"
	"aiagents/internal/simulator/servicedesk"
)

// sample fills a path's parameters.
func sample(path string) string {
	return strings.NewReplacer("{tenant_id}", "acme", "{id}", "0193e9b2-0000-7000-8000-000000000000", "{name}", "zabbix", "{task}", "retain_history").Replace(path)
}

func TestTheAdminAPINeedsItsToken(t *testing.T) {
	t.Parallel()
	h, c := newAdminHarness(t, withRole("serve"))
	ask := func(method, path string, headers ...string) answer {
		a := h.do(method, h.opsURL()+path, nil, headers...)
		require.NotEmpty(t, a.header.Get("Content-Security-Policy"), path)
		return a
	}
	first := ask(http.MethodGet, "/api/v1/overview")
	require.Equal(t, http.StatusUnauthorized, first.status)
	require.Equal(t, "AUTHENTICATION_REQUIRED", first.code())
	refused := func(a answer, what string) {
		require.Equal(t, http.StatusUnauthorized, a.status, what)
		require.Equal(t, first.body, a.body, "%s: every refusal is the same", what)
	}
	for path, methods := range c.doc.Paths {
		for method := range methods {
			refused(ask(strings.ToUpper(method), adminapi.Prefix+sample(path)), method+" "+path)
		}
	}
	for _, path := range []string{"/openapi.json", "/openapi.yaml", "/docs", "/docs/style.css", "/nothing", "/overview/", "/%6fverview"} {
		refused(ask(http.MethodGet, adminapi.Prefix+path), path)
	}
	refused(ask(http.MethodPut, "/api/v1/overview"), "a method that there is not")
	for _, header := range []string{"Bearer wrong", "Bearer " + testAdminToken + "x", "Bearer " + testAdminToken[1:], "Basic " + testAdminToken, "Bearer"} {
		refused(ask(http.MethodGet, "/api/v1/overview", "Authorization", header), header)
	}
	// It is on the operations port only.
	require.Equal(t, http.StatusNotFound, h.do(http.MethodGet, h.publicURL()+"/api/v1/overview", nil, "Authorization", "Bearer "+testAdminToken).status)
	require.Equal(t, http.StatusOK, h.do(http.MethodGet, h.opsURL()+"/metrics", nil).status)
}

func TestWithoutATokenTheAdminAPIIsOffOutsideDevelopment(t *testing.T) {
	t.Parallel()
	off := newHarness(t, withRole("serve"), withConfig(func(c *Config) { c.Environment = staging }))
	unknown := off.do(http.MethodGet, off.opsURL()+"/nothing/of/the/kind", nil)
	require.Equal(t, http.StatusNotFound, unknown.status)
	for _, path := range []string{"/api/v1/overview", "/api/v1/openapi.json", "/api/v1/docs"} {
		for _, headers := range [][]string{nil, {"Authorization", "Bearer "}, {"Authorization", "Bearer x"}} {
			a := off.do(http.MethodGet, off.opsURL()+path, nil, headers...)
			require.Equal(t, http.StatusNotFound, a.status)
			require.Equal(t, unknown.body, a.body, "as any unknown address")
		}
	}
	open := newHarness(t, withRole("serve"))
	require.Equal(t, http.StatusOK, open.do(http.MethodGet, open.opsURL()+"/api/v1/overview", nil).status, "development, and this very machine")
	require.Equal(t, http.StatusUnauthorized, open.do(http.MethodGet, open.opsURL()+"/api/v1/overview", nil, "X-Forwarded-For", "192.0.2.7").status)
	a := open.do(http.MethodPost, open.opsURL()+"/api/v1/tenants", []byte(`{}`), "Content-Type", "application/json", "Origin", "https://evil.example")
	require.Equal(t, http.StatusForbidden, a.status)
	require.Equal(t, "CROSS_SITE_REQUEST", a.code())
}

func TestTheAdminAPIRefusesWhatItDoesNotKnowByName(t *testing.T) {
	t.Parallel()
	h, c := newAdminHarness(t, withRole("serve"))
	h.tenant("acme", nil, nil)
	acme := params{"tenant_id": "acme"}
	bad := c.call("createTenant", nil, `{"id":"-","name":"","servicedesk_url":"https://x.example","colour":1,"preferences":{"tone":"kind","max_words":"many"},"webhook_auth":["basic"]}`)
	require.Equal(t, http.StatusBadRequest, bad.status)
	require.ElementsMatch(t, []string{"id", "name", "colour", "preferences.tone", "preferences.max_words", "webhook_auth[0]"}, sortedKeys(bad.details()), bad.body)
	for body, field := range map[string]string{
		`{"id":`: "body", `[]`: "body", `{"Name":"X"}`: "Name", `{"name":"X"} {}`: "body", `{"preferences":{"max_words":10}}`: "preferences.max_words",
		`{"servicedesk_url":"ftp://x"}`: "servicedesk_url", `{"servicedesk_api_key":"a","servicedesk_oauth":{"accounts_url":"a","client_id":"b","client_secret":"c","refresh_token":"d"}}`: "servicedesk_oauth",
	} {
		a := c.call("updateTenant", acme, body, "If-Match", "*")
		require.Equal(t, http.StatusBadRequest, a.status, body)
		require.Contains(t, a.details(), field, a.body)
	}
	for query, field := range map[[2]string]string{
		{"window", "2h"}: "window", {"Window", "1h"}: "Window", {"x", "1"}: "x",
	} {
		require.Contains(t, c.call("getOverview", params{query[0]: query[1]}, "").details(), field)
	}
	for name, value := range (params{"limit": "0", "cursor": "!", "since": "yesterday", "status": "odd", "outcome": "odd"}) {
		a := c.call("listEnhancements", params{name: value}, "")
		require.Equal(t, http.StatusBadRequest, a.status, name)
		require.Contains(t, a.details(), name)
	}
	require.Equal(t, http.StatusRequestEntityTooLarge, c.call("updateTenant", acme, `{"name":"`+strings.Repeat("x", 130<<10)+`"}`, "If-Match", "*").status)
	require.Equal(t, http.StatusUnsupportedMediaType, c.call("updateTenant", acme, `{}`, "If-Match", "*", "Content-Type", "text/plain").status)
	auth := []string{"Authorization", "Bearer " + testAdminToken}
	for method, path := range map[string]string{http.MethodPut: "/tenants", http.MethodDelete: "/overview"} {
		a := h.do(method, h.opsURL()+adminapi.Prefix+path, nil, auth...)
		require.Equal(t, http.StatusMethodNotAllowed, a.status)
		require.Equal(t, "METHOD_NOT_ALLOWED", a.code())
	}
	a := h.do(http.MethodGet, h.opsURL()+"/api/v1/nothing", nil, auth...)
	require.Equal(t, http.StatusNotFound, a.status)
	require.Equal(t, "NOT_FOUND", a.code())
}

func TestOfTwoUpdatesFromOneVersionOneWins(t *testing.T) {
	t.Parallel()
	h, c := newAdminHarness(t, withRole("serve"))
	h.tenant("acme", nil, nil)
	acme := params{"tenant_id": "acme"}
	missing := c.call("updateTenant", acme, `{"name":"A"}`)
	require.Equal(t, http.StatusPreconditionRequired, missing.status)
	require.Equal(t, "PRECONDITION_REQUIRED", missing.code())
	etag := c.call("getTenant", acme, "").header.Get("ETag")
	for _, old := range []string{`"0"`, `W/` + etag, strings.Trim(etag, `"`), `"x"`} {
		a := c.call("updateTenant", acme, `{"name":"A"}`, "If-Match", old)
		require.Equal(t, http.StatusPreconditionFailed, a.status, old)
		require.Equal(t, "PRECONDITION_FAILED", a.code())
	}
	var mu sync.Mutex
	var racers sync.WaitGroup
	statuses := map[int]int{}
	for i := range 8 {
		racers.Go(func() {
			a, err := h.try(http.MethodPatch, h.opsURL()+"/api/v1/tenants/acme", fmt.Appendf(nil, `{"name":"racer %d"}`, i),
				"Authorization", "Bearer "+testAdminToken, "Content-Type", "application/json", "If-Match", etag)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				statuses[a.status]++
			}
		})
	}
	racers.Wait()
	require.Equal(t, map[int]int{http.StatusOK: 1, http.StatusPreconditionFailed: 7}, statuses)
	require.Equal(t, http.StatusOK, c.call("updateTenant", acme, `{"name":"B"}`, "If-Match", "*").status, "any version")
}

func TestAnAdminRequestForOneTenantShowsNoOther(t *testing.T) {
	t.Parallel()
	h, c := newAdminHarness(t, withModel(openai.Options{Respond: repeatEvidence}))
	runs := map[string]string{}
	for _, id := range []string{"acme", "zenith"} {
		tt := h.tenant(id, nil, nil)
		tt.note(tt.file(servicedesk.Ticket{Subject: "canary of " + id, Description: "the secret matter of " + id}))
		tt.settled()
		list := data[struct {
			Items []struct {
				ID       string `json:"id"`
				TenantID string `json:"tenant_id"`
			}
		}](t, c.call("listEnhancements", params{"tenant_id": id}, ""))
		require.Len(t, list.Items, 1)
		require.Equal(t, id, list.Items[0].TenantID)
		runs[id] = list.Items[0].ID
	}
	acme := func(more params) params {
		all := params{"tenant_id": "acme"}
		for k, v := range more {
			all[k] = v
		}
		return all
	}
	for _, id := range []string{"getTenant", "getTenantStatus", "listEnhancements", "listAudit", "getCosts", "listTenantSecrets"} {
		a := c.call(id, acme(nil), "")
		require.Equal(t, http.StatusOK, a.status, id)
		require.NotContains(t, a.body, "zenith", id)
	}
	a := c.call("getEnhancement", acme(params{"id": runs["acme"]}), "")
	require.Contains(t, a.body, "canary of acme")
	require.NotContains(t, a.body, "zenith")
	for _, id := range []string{"getEnhancement", "retryEnhancement"} {
		a := c.call(id, acme(params{"id": runs["zenith"]}), "")
		require.Equal(t, http.StatusNotFound, a.status, "another tenant's run does not exist")
		require.NotContains(t, a.body, "zenith")
	}
	require.Contains(t, c.call("listEnhancements", nil, "").body, runs["zenith"], "the test sees it where it belongs")
	a = c.call("previewEnhancement", nil, `{"tenant_id":"acme","description":"canary matter of zenith"}`)
	require.Equal(t, http.StatusOK, a.status)
	require.NotContains(t, a.body, "the secret matter of zenith")
}

func TestTheAdminAPIShowsNoSecretButAFreshOneOnce(t *testing.T) {
	t.Parallel()
	h, c := newAdminHarness(t)
	const key, own, other = "CANARYAPIKEY1234567890", "CANARY-webhook-secret-own", "CANARY-zabbix-password"
	acme := params{"tenant_id": "acme"}
	made := c.call("createTenant", nil, fmt.Sprintf(`{"id":"acme","name":"A","servicedesk_url":"http://127.0.0.1:1","servicedesk_api_key":%q,"webhook_secret":%q}`, key, own))
	require.Equal(t, http.StatusCreated, made.status, made.body)
	require.Equal(t, 1, strings.Count(made.body, own), "shown when it is made")
	require.NotContains(t, made.body, key)
	rotated := c.call("rotateWebhookSecret", acme, "")
	fresh := data[struct {
		WebhookSecret string `json:"webhook_secret"`
	}](t, rotated).WebhookSecret
	require.NotContains(t, rotated.body, own)
	secrets := []string{key, own, other, fresh, testAdminToken}

	var said strings.Builder
	for _, a := range []answer{
		c.call("setTenantSecret", params{"tenant_id": "acme", "name": "zabbix"}, fmt.Sprintf(`{"value":%q}`, other)),
		c.call("updateTenant", acme, fmt.Sprintf(`{"servicedesk_api_key":%q}`, key+"2"), "If-Match", "*"),
		c.call("updateTenant", acme, fmt.Sprintf(`{"servicedesk_api_key":[%q]}`, key), "If-Match", "*"),
		c.call("updateTenant", acme, fmt.Sprintf(`{"servicedesk_oauth":{"client_secret":%q}}`, other), "If-Match", "*"),
		c.call("rotateWebhookSecret", acme, fmt.Sprintf(`{"webhook_secret":%q}`, fresh)),
		c.call("createTenant", nil, fmt.Sprintf(`{"id":"b","name":"B","servicedesk_url":"http://127.0.0.1:1","edition":"cloud","servicedesk_api_key":%q}`, key)),
		c.call("testConnection", acme, ""), c.call("getTenant", acme, ""), c.call("listTenants", nil, ""), c.call("listTenantSecrets", acme, ""),
		c.call("listAudit", nil, ""), c.call("getOverview", nil, ""), c.call("disableTenant", acme, ""),
	} {
		fmt.Fprintln(&said, a.body, a.header)
	}
	h.stop()
	for _, place := range []string{said.String(), h.logs.String(), fmt.Sprint(h.dump())} {
		for _, s := range secrets {
			require.NotContains(t, place, s)
		}
	}
}

func TestEveryChangeByTheAdminAPIIsAuditedWithItsAddress(t *testing.T) {
	t.Parallel()
	h, c := newAdminHarness(t, withModel(openai.Options{Respond: repeatEvidence}), withConfig(func(c *Config) { c.HTTP.TrustedProxies = []string{"127.0.0.0/8"} }))
	desk := h.newDesk(servicedesk.Options{})
	from := []string{"X-Forwarded-For", "192.0.2.77"}
	do := func(id string, p params, body string, more ...string) {
		t.Helper()
		a := c.call(id, p, body, append(more, from...)...)
		require.Less(t, a.status, 300, "%s: %s", id, a.body)
	}
	acme := params{"tenant_id": "acme"}
	zabbix := params{"tenant_id": "acme", "name": "zabbix"}
	do("createTenant", nil, fmt.Sprintf(`{"id":"acme","name":"A","servicedesk_url":%q,"servicedesk_api_key":%q,"webhook_secret":"0123456789abcdef0"}`, desk.url, desk.apiKey))
	tt := &testTenant{h: h, id: "acme", secret: "0123456789abcdef0", desk: desk}
	ticket, _, err := desk.CreateTicket(t.Context(), servicedesk.Ticket{Subject: "VPN", Description: "VPN error 809"})
	require.NoError(t, err)
	require.Equal(t, http.StatusAccepted, tt.send(tt.body(ticket)).status)
	tt.settled()
	run := scan[string](h, `SELECT id::text FROM enhancement_history WHERE tenant_id = 'acme'`)
	do("retryEnhancement", params{"id": run}, "")
	tt.settled()
	do("previewEnhancement", nil, `{"tenant_id":"acme","description":"VPN"}`)
	do("updateTenant", acme, `{"name":"B"}`, "If-Match", "*")
	do("rotateWebhookSecret", acme, "")
	do("setTenantSecret", zabbix, `{"value":"x"}`)
	do("deleteTenantSecret", zabbix, "")
	do("disableTenant", acme, "")
	do("enableTenant", acme, "")
	do("deleteTenant", acme, "")
	// What tests, reads and dry runs changes nothing that an audit log is about.
	quiet := map[string]bool{"testConnection": true, "dryRunHousekeeping": true}
	changes := 0
	for _, methods := range c.doc.Paths {
		for method, op := range methods {
			if method != "get" && !quiet[op.OperationID] {
				changes++
				require.NotEmpty(t, c.seen[op.OperationID], "%s changes something and was not tried", op.OperationID)
			}
		}
	}
	list := data[struct {
		Items []struct{ Actor, Action string }
	}](t, c.call("listAudit", params{"actor": "admin", "tenant_id": "acme", "limit": "200"}, ""))
	var actions []string
	for _, e := range list.Items {
		require.Equal(t, "admin:192.0.2.77", e.Actor)
		if e.Action != "tenant.purge" { // the second half of a deletion
			actions = append(actions, e.Action)
		}
	}
	require.ElementsMatch(t, []string{
		"tenant.create", "enhancement.retry", "enhancement.preview", "tenant.update", "tenant.rotate_secret", "tenant.secret.set",
		"tenant.secret.delete", "tenant.disable", "tenant.enable", "tenant.delete",
	}, actions)
	require.Len(t, actions, changes)
}
