package app

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// findBrowser returns a Chromium of this machine. Without one the test fails where a browser is promised (CI installs it), and is
// skipped elsewhere.
func findBrowser(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "headless-shell"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	const how = "no Chromium on the PATH: install one, on Debian with 'apt-get install chromium'"
	if os.Getenv("CI") != "" || os.Getenv("AIAGENTS_REQUIRE_BROWSER") != "" {
		t.Fatal(how)
	}
	t.Skip(how + "; AIAGENTS_REQUIRE_BROWSER=1 makes this a failure")
	return ""
}

// browser is one tab of a fresh headless Chromium, with everything that a page did that it must not do.
type browser struct {
	t   *testing.T
	ctx context.Context

	mu     sync.Mutex
	wrongs []string
	hosts  map[string]bool
}

// newBrowser starts a Chromium with a profile of its own; the test's end stops it. It can reach this machine and nothing else.
func newBrowser(t *testing.T) *browser {
	t.Helper()
	b := &browser{t: t, hosts: map[string]bool{}}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(findBrowser(t)),
		chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("hide-scrollbars", true),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"))
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancel := chromedp.NewContext(allocator, chromedp.WithListener(b.watch))
	b.ctx = ctx
	t.Cleanup(func() {
		_ = chromedp.Cancel(ctx) // waits for the process; there is nothing to save
		cancel()
		stop()
	})
	call(b, log.Enable, cdp.Empty{})
	call(b, network.Enable, network.EnableParams{})
	return b
}

// watch keeps what a page of ours never does: dialogs, messages on the console, faults, breaches of the policy.
func (b *browser) watch(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *page.EventJavascriptDialogOpening:
		b.wrongs = append(b.wrongs, "dialog: "+e.Message)
	case *runtime.EventConsoleAPICalled:
		b.wrongs = append(b.wrongs, fmt.Sprintf("console.%s", e.Type))
	case *runtime.EventExceptionThrown:
		b.wrongs = append(b.wrongs, "exception: "+e.ExceptionDetails.Text)
	case *log.EventEntryAdded:
		// An answer with an error status is noted here too; tests look at statuses themselves.
		if e.Entry.Source != log.EntrySourceNetwork {
			b.wrongs = append(b.wrongs, fmt.Sprintf("%s: %s", e.Entry.Source, e.Entry.Text))
		}
	case *network.EventRequestWillBeSent:
		if u, err := url.Parse(e.Request.URL); err == nil && u.Scheme != "data" {
			b.hosts[u.Host] = true
		}
	}
}

// clean requires that no page did anything wrong so far, and that none asked another host for anything.
func (b *browser) clean(host string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	require.Empty(b.t, b.wrongs)
	require.Equal(b.t, map[string]bool{host: true}, b.hosts)
}

// do runs actions, within the tests' patience.
func (b *browser) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	require.NoError(b.t, chromedp.Do(ctx, actions...))
}

// call gives one command of the protocol.
func call[P, R any](b *browser, command cdp.Command[P, R], params P) {
	b.t.Helper()
	_, err := chromedp.Call(b.ctx, command, params)
	require.NoError(b.t, err)
}

// open goes to a page and waits until it stands.
func (b *browser) open(address string) {
	b.t.Helper()
	b.do(chromedp.Navigate(address), chromedp.WaitReady(chromedp.CSS("main")))
}

// ask evaluates an expression in the page.
func ask[T any](b *browser, expression string, options ...chromedp.EvaluateOption) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, options...))
	require.NoError(b.t, err, expression[:min(len(expression), 200)])
	return v
}

// text is what a person reads on the page.
func (b *browser) text() string {
	b.t.Helper()
	return ask[string](b, `document.body.innerText`)
}

// look is how a person has set up the browser.
type look struct {
	name  string
	width int64
	dark  bool
}

var looks = []look{{"light", 1280, false}, {"dark", 1280, true}, {"phone light", 360, false}, {"phone dark", 360, true}}

func (b *browser) wear(l look) {
	b.t.Helper()
	scheme := "light"
	if l.dark {
		scheme = "dark"
	}
	call(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: l.width, Height: 900, DeviceScaleFactor: 1})
	b.prefer("prefers-color-scheme", scheme)
}

// prefer sets a media feature, as a person does in the system's settings.
func (b *browser) prefer(feature, value string) {
	b.t.Helper()
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: feature, Value: value}}})
}

// withoutScript turns the pages' JavaScript off, or on again.
func (b *browser) withoutScript(off bool) {
	b.t.Helper()
	call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: off})
}

var axeSource = sync.OnceValues(func() (string, error) {
	raw, err := os.ReadFile("testdata/axe/axe.min.js")
	return string(raw), err
})

// axe returns the serious and critical findings of axe-core on the page as it is.
func (b *browser) axe() []string {
	b.t.Helper()
	source, err := axeSource()
	require.NoError(b.t, err)
	ask[int](b, source+"\n;0")
	raw := ask[string](b, `axe.run(document, {resultTypes: ["violations"]}).then(r => JSON.stringify(r.violations))`, chromedp.EvalAwaitPromise)
	var violations []struct {
		ID, Impact, Help string
		Nodes            []struct{ HTML, FailureSummary string }
	}
	require.NoError(b.t, json.Unmarshal([]byte(raw), &violations))
	var found []string
	for _, v := range violations {
		if v.Impact == "serious" || v.Impact == "critical" {
			for _, n := range v.Nodes {
				found = append(found, fmt.Sprintf("%s: %s: %s: %s", v.ID, v.Help, n.HTML, n.FailureSummary))
			}
		}
	}
	return found
}

// overflows reports whether the page is wider than the window.
func (b *browser) overflows() bool {
	b.t.Helper()
	return ask[bool](b, `document.documentElement.scrollWidth > document.documentElement.clientWidth + 1`)
}

// press types keys into whatever has the focus.
func (b *browser) press(keys string) {
	b.t.Helper()
	b.do(chromedp.KeyEvent(keys))
}

// focused names the element with the focus.
func (b *browser) focused() string {
	b.t.Helper()
	return strings.TrimSpace(ask[string](b, `document.activeElement ? (document.activeElement.innerText || document.activeElement.id || document.activeElement.tagName) : ""`))
}

// waitFor waits until the page says something.
func (b *browser) waitFor(text string) {
	b.t.Helper()
	require.Eventually(b.t, func() bool {
		body, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](`document.body ? document.body.innerText : ""`))
		return err == nil && strings.Contains(body, text)
	}, patience, 50*time.Millisecond, "the page never said %q", text)
}
