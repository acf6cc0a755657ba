package servicedesk_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"aiagents/internal/simulator/servicedesk"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const accept = "application/vnd.manageengine.sdp.v3+json"

// clock is a time that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// client talks to one desk as an integration would.
type client struct {
	t      *testing.T
	desk   *servicedesk.Desk
	server *httptest.Server
	header http.Header
	prefix string
}

func start(t *testing.T, o servicedesk.Options) *client {
	t.Helper()
	if o.Edition == "" {
		o.Edition = servicedesk.OnPrem
	}
	if o.APIKey == "" {
		o.APIKey = "key-1"
	}
	desk, err := servicedesk.New(o)
	require.NoError(t, err)
	server := httptest.NewServer(desk.Handler())
	t.Cleanup(func() {
		require.NoError(t, desk.Close())
		server.Close()
	})
	server.Client().CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	h := http.Header{"Accept": {accept}, "Authtoken": {o.APIKey}}
	return &client{t: t, desk: desk, server: server, header: h, prefix: desk.APIPath()}
}

// got is a decoded answer.
type got struct {
	status int
	header http.Header
	text   string
	json   map[string]any
}

func (c *client) try(ctx context.Context, method, path, contentType, body string) (got, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.server.URL+path, strings.NewReader(body))
	require.NoError(c.t, err)
	req.Header = c.header.Clone()
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := c.server.Client().Do(req)
	if err != nil {
		return got{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	g := got{status: resp.StatusCode, header: resp.Header, text: string(text)}
	_ = json.Unmarshal(text, &g.json)
	return g, err
}

func (c *client) do(method, path, contentType, body string) got {
	c.t.Helper()
	g, err := c.try(c.t.Context(), method, path, contentType, body)
	require.NoError(c.t, err)
	return g
}

const formType = "application/x-www-form-urlencoded"

func form(inputData string) string { return url.Values{"input_data": {inputData}}.Encode() }

func (c *client) get(path string) got { return c.do("GET", c.prefix+path, "", "") }

func (c *client) list(path, inputData string) got {
	return c.get(path + "?" + form(inputData))
}

func (c *client) send(method, path, inputData string) got {
	return c.do(method, c.prefix+path, formType, form(inputData))
}

func (c *client) note(ticket, text string) got {
	b, err := json.Marshal(text)
	require.NoError(c.t, err)
	return c.send("POST", "/requests/"+ticket+"/notes", `{"note":{"description":`+string(b)+`,"show_to_requester":false}}`)
}

func (c *client) ticket(tk servicedesk.Ticket) string {
	c.t.Helper()
	if tk.Subject == "" {
		tk.Subject = "Printer offline"
	}
	made, err := c.desk.AddTicket(tk)
	require.NoError(c.t, err)
	return made.ID
}

// message is the first entry of response_status.messages.
func (g got) message(t *testing.T) (code float64, field, text string) {
	t.Helper()
	status, ok := g.json["response_status"].(map[string]any)
	require.True(t, ok, "no response_status in %s", g.text)
	require.Equal(t, "failed", status["status"])
	require.InDelta(t, 4000, status["status_code"], 0)
	m := status["messages"].([]any)[0].(map[string]any)
	field, _ = m["field"].(string)
	return m["status_code"].(float64), field, m["message"].(string)
}

func (g got) rows(t *testing.T, key string) []map[string]any {
	t.Helper()
	require.Equal(t, 200, g.status, g.text)
	var out []map[string]any
	items, ok := g.json[key].([]any)
	require.True(t, ok, g.text)
	for _, r := range items {
		out = append(out, r.(map[string]any))
	}
	return out
}
