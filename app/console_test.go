package app

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"aiagents/internal/simulator/openai"
	"aiagents/internal/simulator/servicedesk"
	"aiagents/modules/tenant"
)

const consoleToken = "console-test-token-0123456789"

// payloads are what a hostile ticket would try. Each would call alert, or break out of where it stands.
var payloads = []string{
	`<script>alert(1)</script>`, `"><img src=x onerror=alert(2)>`, `'><svg/onload=alert(3)>`, `javascript:alert(4)`,
	`</title></textarea></style></script><script>alert(5)</script>`, `{{7*7}}${alert(6)}`, `<iframe srcdoc="<script>alert(7)</script>"></iframe>`,
	`<a href="javascript:alert(8)" autofocus onfocus=alert(9)>x</a>`, `<style>*{display:none}</style>`, `<meta http-equiv=refresh content="0;url=http://127.0.0.1:1/">`,
}

// consoleRig is a running product with something to look at: a tenant that works, one whose desk refuses the key, a hostile
// one, and a storm.
type consoleRig struct {
	*harness
	acme, evil  *testTenant
	acmeRun     string
	evilRun     string
	failedRun   string
	base        string
	hostileName string
}

func newConsoleRig(t *testing.T) *consoleRig {
	t.Helper()
	r := &consoleRig{hostileName: "Evil " + payloads[0] + payloads[1]}
	r.harness = newHarness(t, withModel(openai.Options{Respond: repeatEvidence}), withEnviron(envPrefix+"ADMIN_TOKEN="+consoleToken))
	r.base = r.opsURL() + "/console"
	r.acme = r.tenant("acme", nil, func(in *tenant.CreateInput) { in.Name = "Acme Clinics" })
	r.acme.teach("900", "VPN error 809 at home", "The certificate of the gateway vpn-01 had expired; renewed it, VPN works.")
	ticket := r.acme.file(servicedesk.Ticket{Subject: "VPN error 809 since this morning", Description: "Cannot connect from home, error 809. Gateway is vpn-01."})
	r.acme.note(ticket)
	for i := range 4 {
		id := r.acme.file(servicedesk.Ticket{Subject: "Label printer offline in hall south", Description: fmt.Sprintf("The label printer in hall south is offline again, gate %d", i)})
		r.acme.note(id)
	}
	r.evil = r.tenant("evil", nil, func(in *tenant.CreateInput) { in.Name = r.hostileName })
	all := strings.Join(payloads, " ")
	r.evil.teach("900", all+" broken printer", all+" replaced the broken printer's fuser")
	ticket = r.evil.file(servicedesk.Ticket{Subject: all, Description: "broken printer " + all, Priority: payloads[0]})
	r.evil.note(ticket)
	// The desk forgets a ticket: a run that fails for good.
	lost := r.acme.body("777777")
	require.Equal(t, http.StatusAccepted, r.acme.send(lost).status)
	r.acme.settled()
	r.evil.settled()
	r.acmeRun = scan[string](r.harness, `SELECT id::text FROM enhancement_history WHERE tenant_id = 'acme' AND subject LIKE 'VPN%' AND event = 'ticket_created'`)
	r.evilRun = scan[string](r.harness, `SELECT id::text FROM enhancement_history WHERE tenant_id = 'evil' AND event = 'ticket_created'`)
	r.failedRun = scan[string](r.harness, `SELECT id::text FROM enhancement_history WHERE tenant_id = 'acme' AND status = 'failed'`)
	// A desk that refuses the key pauses its connection.
	refusing := r.newDesk(servicedesk.Options{})
	refusing.apiKey = strings.Repeat("0", 32)
	paused := r.tenant("paused", refusing, func(in *tenant.CreateInput) { in.Name = "Paused Logistics" })
	require.Equal(t, http.StatusAccepted, paused.send(paused.body("1")).status)
	require.Eventually(t, func() bool {
		return scan[int](r.harness, `SELECT count(*) FROM desk_connections WHERE paused_at IS NOT NULL`) == 1
	}, patience, patience/1000)
	return r
}

// pages are the addresses of every page, by name.
func (r *consoleRig) pages() map[string]string {
	return map[string]string{
		"overview": "/", "tenants": "/tenants", "tenant": "/tenants/acme", "hostile tenant": "/tenants/evil", "paused tenant": "/tenants/paused", "onboarding": "/tenants/new",
		"runs": "/runs", "filtered runs": "/runs?tenant=acme&status=failed&outcome=&ticket=&since=&until=", "run": "/runs/acme/" + r.acmeRun, "hostile run": "/runs/evil/" + r.evilRun,
		"failed run": "/runs/acme/" + r.failedRun, "not found": "/nowhere", "hour": "/?window=1h",
	}
}

// signIn signs in as a person does.
func (b *browser) signIn(base string) {
	b.t.Helper()
	b.open(base + "/login")
	b.do(chromedp.SendKeys(chromedp.CSS("#token"), consoleToken))
	b.submit(`main form button`)
	b.waitFor("Overview")
}

// submit clicks a button that leads to another page.
func (b *browser) submit(selector string) {
	b.t.Helper()
	_, err := chromedp.RunResponse(b.ctx, chromedp.Click(chromedp.CSS(selector)))
	require.NoError(b.t, err, selector)
	b.do(chromedp.WaitReady("main"))
}

func TestConsolePagesAreAccessibleInEveryLook(t *testing.T) {
	t.Parallel()
	b := newBrowser(t)
	r := newConsoleRig(t)
	b.open(r.base + "/login")
	require.Empty(t, b.axe())
	b.signIn(r.base)
	for name, path := range r.pages() {
		b.open(r.base + path)
		for _, l := range looks {
			b.wear(l)
			require.Empty(t, b.axe(), "%s, %s", name, l.name)
			require.False(t, b.overflows(), "%s, %s is wider than the window", name, l.name)
		}
		for _, landmark := range []string{"header", "nav", "main", "footer", "h1"} {
			require.Equal(t, 1, ask[int](b, `document.querySelectorAll("body > `+landmark+`, header `+landmark+`[aria-label=Main], main `+landmark+`:first-of-type").length > 0 ? 1 : 0`), "%s has no %s", name, landmark)
		}
	}
	b.clean(r.p.ops.addr())
	// The check bites: a page with a picture that nobody describes and pale text is found out.
	ask[any](b, `document.querySelector("main").append(document.createElement("img")); document.querySelector("h1").classList.add("skip"); document.querySelector("main p, main h1").setAttribute("role", "button"); 0`)
	require.NotEmpty(t, b.axe())
}

func TestConsoleRunsNothingThatATicketBrings(t *testing.T) {
	t.Parallel()
	b := newBrowser(t)
	r := newConsoleRig(t)
	b.signIn(r.base)
	pages := r.pages()
	for i, p := range payloads {
		// What is typed comes back as typed, and nothing else.
		pages[fmt.Sprint("filter ", i)] = "/runs?ticket=" + url.QueryEscape(p) + "&tenant=" + url.QueryEscape(p) + "&since=" + url.QueryEscape(p)
		pages[fmt.Sprint("path ", i)] = "/tenants/" + url.PathEscape(p)
	}
	for name, path := range pages {
		b.open(r.base + path)
		require.Equal(t, r.base+path, ask[string](b, `location.href`), "%s went elsewhere", name)
		require.Zero(t, ask[int](b, `document.querySelectorAll("iframe, object, embed, base, meta[http-equiv], [onerror], [onload], [onfocus], [style], style, script:not([src])").length`), name)
		require.Zero(t, ask[int](b, `[...document.querySelectorAll("a[href], form[action]")].filter(e => !(e.href || e.action).startsWith(location.origin)).length`), name)
	}
	b.open(r.base + "/runs/evil/" + r.evilRun)
	require.Contains(t, b.text(), payloads[0], "the page shows what the ticket says, as text")
	b.open(r.base + "/tenants/evil")
	require.Contains(t, b.text(), r.hostileName)
	b.clean(r.p.ops.addr())
	// The rig notices when something does run, and when the policy stops something.
	ask[any](b, `console.log("here"); document.body.append(Object.assign(document.createElement("script"), {textContent: "alert(1)"})); 0`)
	require.Eventually(t, func() bool { b.mu.Lock(); defer b.mu.Unlock(); return len(b.wrongs) >= 2 }, patience, patience/1000)
	require.Contains(t, strings.Join(b.wrongs, "\n"), "Content Security Policy")
}

func TestConsoleIsUsedWithTheKeyboardAlone(t *testing.T) {
	t.Parallel()
	b := newBrowser(t)
	r := newConsoleRig(t)
	// The field has the focus, and Enter sends the form.
	b.open(r.base + "/login")
	b.press(consoleToken + kb.Enter)
	b.waitFor("Needs attention")
	b.open(r.base + "/runs/acme/" + r.acmeRun)
	b.press(kb.Tab)
	require.Equal(t, "Skip to content", b.focused())
	b.press(kb.Enter)
	require.Equal(t, "content", ask[string](b, `document.activeElement.id`))
	b.tabTo("Run again…")
	outline := ask[string](b, `getComputedStyle(document.activeElement).outlineStyle`)
	require.Equal(t, "solid", outline, "the focus is seen")
	b.press(kb.Enter)
	b.tabTo("Run it again")
	b.press(kb.Enter)
	b.waitFor("queued again")
	r.acme.settled()
	require.Equal(t, 1, scan[int](r.harness, `SELECT count(*) FROM audit_log WHERE action = 'enhancement.retry' AND actor LIKE 'admin:%'`))
	b.clean(r.p.ops.addr())
}

// tabTo presses Tab until the element with this text has the focus.
func (b *browser) tabTo(text string) {
	b.t.Helper()
	var seen []string
	for range 60 {
		b.press(kb.Tab)
		seen = append(seen, b.focused())
		if seen[len(seen)-1] == text {
			return
		}
	}
	require.Fail(b.t, "Tab never reached it", "%q; seen: %q", text, seen)
}

func TestConsoleNeedsNoJavaScript(t *testing.T) {
	t.Parallel()
	b := newBrowser(t)
	r := newConsoleRig(t)
	b.withoutScript(true)
	b.signIn(r.base)
	for name, path := range r.pages() {
		b.open(r.base + path)
		require.NotEmpty(t, b.text(), name)
	}
	desk := r.newDesk(servicedesk.Options{})
	b.open(r.base + "/tenants/new")
	fill := func(id, text string) { b.do(chromedp.SetValue(chromedp.CSS("#"+id), text)) }
	fill("id", "new tenant")
	fill("name", "New & Co <b>")
	fill("servicedesk_url", desk.url)
	fill("servicedesk_api_key", desk.apiKey)
	b.submit(`form[action$="/tenants"] button`)
	text := b.text()
	require.Contains(t, text, "1 entry needs another look")
	require.Contains(t, text, "must be 1 to 100 letters")
	require.Equal(t, []string{"new tenant", "New & Co <b>", desk.url, ""}, ask[[]string](b, `["id", "name", "servicedesk_url", "servicedesk_api_key"].map(id => document.getElementById(id).value)`))
	require.NotContains(t, ask[string](b, `document.documentElement.outerHTML`), desk.apiKey, "a key is never sent back")
	require.Empty(t, b.axeWithScript())

	fill("id", "fresh")
	fill("servicedesk_api_key", desk.apiKey)
	b.submit(`form[action$="/tenants"] button`)
	require.Contains(t, b.text(), "The connection works")
	require.Contains(t, b.text(), "/webhook/servicedesk/fresh")
	require.Empty(t, b.axeWithScript())
	secret := ask[string](b, `document.getElementById("webhook-secret").innerText`)
	a := r.post("/webhook/servicedesk/fresh", []byte(`{"ticket_id": "1"}`), "X-ServiceDesk-Token", secret)
	require.Equal(t, http.StatusAccepted, a.status, a.body)

	act := func(label string) {
		b.open(r.base + "/tenants/fresh")
		b.do(chromedp.Click(`//summary[normalize-space()="` + label + `"]`))
		b.submit(`details[open] form button`)
	}
	act("Pause…")
	require.Contains(t, b.text(), "The tenant is disabled")
	require.Equal(t, http.StatusUnauthorized, r.post("/webhook/servicedesk/fresh", []byte(`{"ticket_id": "2"}`), "X-ServiceDesk-Token", secret).status)
	act("Enable…")
	require.Contains(t, b.text(), "The tenant is enabled")
	act("Rotate secret…")
	fresh := ask[string](b, `document.getElementById("webhook-secret").innerText`)
	require.NotEqual(t, secret, fresh)
	require.Equal(t, http.StatusAccepted, r.post("/webhook/servicedesk/fresh", []byte(`{"ticket_id": "3"}`), "X-ServiceDesk-Token", fresh).status)
	b.open(r.base + "/tenants/fresh")
	require.NotContains(t, ask[string](b, `document.documentElement.outerHTML`), fresh, "a secret is shown once")

	b.open(r.base + "/tenants/paused")
	b.submit(`form[action$="/test"] button`)
	require.Contains(t, b.text(), "The connection does not work yet")
	require.Empty(t, b.axeWithScript())

	b.open(r.base + "/runs/acme/" + r.failedRun)
	require.Contains(t, b.text(), "It failed")
	b.do(chromedp.Click(`//summary[normalize-space()="Run again…"]`))
	b.submit(`details[open] form button`)
	require.Contains(t, b.text(), "queued again")

	b.submit(`form[action$="/logout"] button`)
	require.Contains(t, b.text(), "Sign in")
	b.clean(r.p.ops.addr())
}

// axeWithScript lets the page run scripts for as long as axe-core needs.
func (b *browser) axeWithScript() []string {
	b.t.Helper()
	b.withoutScript(false)
	defer b.withoutScript(true)
	return b.axe()
}

func TestConsoleRefreshesOnlyAsWished(t *testing.T) {
	t.Parallel()
	b := newBrowser(t)
	r := newConsoleRig(t)
	b.signIn(r.base)
	require.Equal(t, "Pause refresh", ask[string](b, `document.querySelector("[data-refresh]").innerText`))
	b.do(chromedp.Click(chromedp.CSS("[data-refresh]")))
	require.Equal(t, "Refresh every 10 s", ask[string](b, `document.querySelector("[data-refresh]").innerText`))
	// Turning it on brings the parts up to date at once.
	ask[any](b, `document.querySelector("#verdict").innerHTML = "old"; 0`)
	b.do(chromedp.Click(chromedp.CSS("[data-refresh]")))
	b.waitFor("attention.")
	// Who asks for less motion gets a page that holds still.
	ask[any](b, `sessionStorage.clear(); 0`)
	b.prefer("prefers-reduced-motion", "reduce")
	b.open(r.base + "/")
	require.Equal(t, "Refresh every 10 s", ask[string](b, `document.querySelector("[data-refresh]").innerText`))
	b.clean(r.p.ops.addr())
}

func TestConsoleHasRiversInterface(t *testing.T) {
	t.Parallel()
	b := newBrowser(t)
	r := newConsoleRig(t)
	b.signIn(r.base)
	b.do(chromedp.Navigate(r.base + "/river/jobs?state=completed"))
	b.waitFor("enhance_ticket")
	require.NotContains(t, b.text(), "VPN", "jobs hold ids only")
	require.NotContains(t, b.text(), "alert(")
	b.clean(r.p.ops.addr())
}
