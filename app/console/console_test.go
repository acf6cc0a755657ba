package console

import (
	"bytes"
	"html/template"
	"io/fs"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"aiagents/app/housekeeping"
	"aiagents/app/operator"
	"aiagents/modules/enhancement/evidence"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var now = time.Date(2026, 11, 23, 6, 12, 30, 0, time.UTC)

// pagesOnly is a console without neighbours, for what concerns its pages alone.
func pagesOnly(t *testing.T) *Console {
	t.Helper()
	c := &Console{deps: Deps{Clock: func() time.Time { return now }}, pages: map[string]*template.Template{}, assets: map[string]asset{}}
	require.NoError(t, c.readAssets())
	require.NoError(t, c.readPages())
	return c
}

const hostile = `"'><script>alert(1)</script><img src=x onerror=alert(2)>javascript:alert(3)`

// poison puts the hostile text into every field of a view, so that no field can be forgotten.
func poison(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		if v.Type() != reflect.TypeFor[template.HTML]() {
			v.SetString(hostile)
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(now))
			return
		}
		for i := range v.NumField() {
			poison(v.Field(i))
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		poison(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range 2 {
			poison(v.Index(i))
		}
	case reflect.Bool:
		v.SetBool(true)
	}
}

// views are the bodies of all pages.
func views() map[string]any {
	return map[string]any{
		"login": &signIn{}, "message": &failed{}, "overview": &overviewView{}, "tenants": &tenantsView{}, "tenant": &tenantView{}, "onboard": &onboardView{},
		"secret": &secretView{}, "runs": &runsView{}, "run": &runView{},
	}
}

func TestEveryFieldOfEveryPageIsEscaped(t *testing.T) {
	t.Parallel()
	c := pagesOnly(t)
	require.Len(t, views(), len(c.pages), "a page is not looked at")
	for name, body := range views() {
		v := reflect.ValueOf(body).Elem()
		poison(v)
		p := page{SignedIn: true, CanSignOut: true, Live: true, Now: now, Flash: &message{hostile, hostile, hostile}}
		p.Title, p.Environment, p.Version, p.Body = hostile, hostile, hostile, v.Interface()
		p.Sections = []section{{hostile, hostile, true}}
		var out bytes.Buffer
		require.NoError(t, c.pages[name].ExecuteTemplate(&out, "layout", p), name)
		html := out.String()
		for _, bad := range []string{"<script>", "<img src=x", ` onerror=alert(2)>`, `href="javascript`, `action="javascript`} {
			require.NotContains(t, html, bad, name)
		}
		require.Contains(t, html, "alert(1)", "%s shows none of its fields", name)
		require.NotContains(t, html, "ZgotmplZ", "%s puts text where it cannot be", name)
	}
}

func TestPagesHoldNothingInlineAndNothingFromElsewhere(t *testing.T) {
	t.Parallel()
	names, err := fs.Glob(files, "templates/*.html")
	require.NoError(t, err)
	require.NotEmpty(t, names)
	for _, name := range names {
		raw, err := files.ReadFile(name)
		require.NoError(t, err)
		for _, bad := range []string{" style=", "<style", " onclick", " onload", "javascript:", "http://", "https://", "@import"} {
			require.NotContains(t, string(raw), bad, name)
		}
	}
	css, err := files.ReadFile("static/console.css")
	require.NoError(t, err)
	require.NotContains(t, string(css), "url(")
	require.NotContains(t, string(css), "@import")
}

func TestTheNoteIsHeldToItsMarkup(t *testing.T) {
	t.Parallel()
	var d operator.EnhancementDetail
	html := `<p onclick="x()">a <strong class="y">b</strong></p><script>alert(1)</script><a href="http://x/">c</a><img src=x onerror=alert(1)><style>p{}</style><iframe src="x"></iframe>`
	d.NoteHTML = &html
	require.Equal(t, template.HTML("<p>a <strong>b</strong></p>c"), newRunView(d).Note)
}

func TestASignInLeadsNowhereElse(t *testing.T) {
	t.Parallel()
	for _, other := range []string{
		"", "https://evil.example/console/", "//evil.example/console/", `/\evil.example`, "/console/../metrics", "/metrics", "javascript:alert(1)", "/console//evil.example", "/consolex/",
		"http:/console/", "/console/\\evil",
	} {
		require.Equal(t, "/console/", ownPath(other), other)
	}
	require.Equal(t, "/console/runs?status=failed", ownPath("/console/runs?status=failed"))
	require.Equal(t, "/console/", ownPath("/console/"))
}

func TestChartsStayOnTheirBoardAndSayTheirFigures(t *testing.T) {
	t.Parallel()
	var series []interval
	for i := range 60 {
		at := now.Add(time.Duration(i-60) * time.Minute)
		s := interval{Start: at, End: at.Add(time.Minute), Notes: i, Facts: i / 2, Others: 1, Failed: i % 3}
		if i%7 != 0 {
			s.P50, s.P95 = time.Duration(i)*time.Second, time.Duration(2*i)*time.Second
		}
		series = append(series, s)
	}
	rates := ratesChart(series)
	require.Equal(t, "Bar chart of 60 intervals: 2760 runs, 60 of them failed; at most 91 in one interval.", rates.Summary)
	require.Len(t, rates.Rows, 60)
	for _, b := range rates.Bars {
		for _, p := range b.Parts {
			require.GreaterOrEqual(t, p.Y, 0.0)
			require.LessOrEqual(t, p.Y+p.H, boardHeight+0.01)
			require.LessOrEqual(t, p.X+p.W, boardWidth)
		}
	}
	times := timesChart(series, time.Minute)
	require.Positive(t, times.Goal, "the objective is drawn when the notes come near it")
	require.Len(t, times.Curves, 2*9, "an interval without a note ends a line")
	require.Contains(t, times.Summary, "1 min 58 s")
	quick := timesChart([]interval{{Start: now, End: now, P50: time.Millisecond, P95: 2 * time.Millisecond}}, time.Minute)
	require.Zero(t, quick.Goal)
	require.Len(t, strings.Fields(quick.Curves[0].Points), 2, "a single value is a stroke, or it would not be seen")
	empty := ratesChart(nil)
	require.Equal(t, "1 run", empty.Top)
	for v, want := range map[float64]float64{0: 1, 1: 1, 1.2: 2, 7: 8, 9: 10, 61: 80, 101: 200} {
		require.InDelta(t, want, roundUp(v), 1e-9)
	}
	require.False(t, math.IsNaN(roundUp(0)))
}

func TestFiguresAreReadable(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{"12,345", "-1,000", "7", "999"}, []string{count(12345), count(-1000), count(7), count(999)})
	require.Equal(t, []string{"99.9 %", "100 %", "–", "0 %"}, []string{percent(9996, 10000), percent(5, 5), percent(0, 0), percent(0, 3)}, "a failure is never rounded away")
	require.Equal(t, []string{"0.5 ms", "12 ms", "8.2 s", "8 s", "2 min", "3 h"}, []string{
		span(500 * time.Microsecond), span(12 * time.Millisecond), span(8200 * time.Millisecond), span(8 * time.Second), span(2 * time.Minute), span(3 * time.Hour),
	})
	require.Equal(t, []string{"just now", "2 min ago", "in 40 s", "3 days ago"}, []string{ago(now, now), ago(now, now.Add(-2*time.Minute)), ago(now, now.Add(40*time.Second)), ago(now, now.AddDate(0, 0, -3))})
	require.Equal(t, []string{"$0", "$0.00121", "$1.204", "$12.50"}, []string{money(0), money(0.00121), money(1.2041), money(12.5)})
}

func TestTheVerdictNamesTheWorst(t *testing.T) {
	t.Parallel()
	c := pagesOnly(t)
	note := now.Add(-2 * time.Minute)
	o := operator.Overview{Window: operator.Day, Tenants: []operator.TenantLine{{State: operator.OK, LastNoteAt: &note}, {State: operator.Disabled}}}
	require.Equal(t, message{"ok", "All is well.", "The last note was written 2 min ago."}, c.verdict(o))
	o.Tenants[1].State = operator.Paused
	require.Equal(t, message{"warn", "It works, but 1 tenant needs attention.", "The last note was written 2 min ago."}, c.verdict(o))
	o.Problems = []operator.Problem{{What: "No worker is alive.", Next: "Start one."}}
	require.Equal(t, message{"bad", "No worker is alive.", "Start one."}, c.verdict(o))
	require.Len(t, troubles(o), 2)
	require.Equal(t, "info", c.verdict(operator.Overview{}).Tone)
}

func TestEveryEndOfAHousekeepingTaskIsTold(t *testing.T) {
	t.Parallel()
	for want, task := range map[string]housekeeping.Status{
		"off": {}, "not yet": {EverySeconds: 60}, "running": {EverySeconds: 60, Running: &now}, "failed": {EverySeconds: 60, LastResult: "failed", Overdue: true},
		"overdue": {EverySeconds: 60, LastResult: "ok", Overdue: true}, "stopped": {EverySeconds: 60, LastResult: "stopped"}, "done": {EverySeconds: 60, LastResult: "ok"},
	} {
		require.Equal(t, want, choreBadge(task).Text)
	}
}

func TestEveryOutcomeOfASourceHasAWord(t *testing.T) {
	t.Parallel()
	for _, o := range []evidence.Outcome{evidence.Found, evidence.Nothing, evidence.Failed, evidence.TimedOut, evidence.NotConfigured, evidence.Skipped} {
		require.NotEmpty(t, sourceBadges[o].Text, o)
	}
}

func TestMissingNeighboursAreNamedAtOnce(t *testing.T) {
	t.Parallel()
	_, err := New(Deps{})
	require.ErrorContains(t, err, "missing Guard, Holdings, Logger, Operator, River")
}
