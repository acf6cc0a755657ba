package app

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestEveryRefusalHasTheOneShape(t *testing.T) {
	t.Parallel()
	h := newHarness(t, withRole("serve"))
	acme := h.tenant("acme", nil, nil)
	token := []string{"X-ServiceDesk-Token", acme.secret}
	huge := bytes.Repeat([]byte("a"), 64<<10+1)
	deep := []byte(`{"tenant_id":"acme","x":` + strings.Repeat("[", 60_000))
	for name, c := range map[string]struct {
		method, path string
		body         []byte
		headers      []string
		status       int
		code         string
	}{
		"nothing there":          {"GET", "/nothing", nil, nil, 404, "NOT_FOUND"},
		"metrics are not public": {"GET", "/metrics", nil, nil, 404, "NOT_FOUND"},
		"nor is the admin API":   {"GET", "/api/v1/tenants", nil, nil, 404, "NOT_FOUND"},
		"a way out of the path":  {"GET", "/webhook/../../etc/passwd", nil, nil, 404, "NOT_FOUND"},
		"get":                    {"GET", webhookPath, nil, nil, 405, "METHOD_NOT_ALLOWED"},
		"put":                    {"PUT", webhookPath + "/acme", nil, nil, 405, "METHOD_NOT_ALLOWED"},
		"trace":                  {"TRACE", webhookPath, nil, nil, 405, "METHOD_NOT_ALLOWED"},
		"post to health":         {"POST", "/health", nil, nil, 405, "METHOD_NOT_ALLOWED"},
		"too large":              {"POST", webhookPath + "/acme", huge, token, 413, "PAYLOAD_TOO_LARGE"},
		"a form":                 {"POST", webhookPath + "/acme", []byte("ticket_id=1"), append([]string{"Content-Type", "application/x-www-form-urlencoded"}, token...), 415, "UNSUPPORTED_MEDIA_TYPE"},
		"XML":                    {"POST", webhookPath + "/acme", []byte("<a/>"), append([]string{"Content-Type", "text/xml"}, token...), 415, "UNSUPPORTED_MEDIA_TYPE"},
		"no JSON":                {"POST", webhookPath + "/acme", []byte("{"), token, 400, "INVALID_PAYLOAD"},
		"empty":                  {"POST", webhookPath + "/acme", nil, token, 400, "INVALID_PAYLOAD"},
		"a bad field":            {"POST", webhookPath + "/acme", []byte(`{"ticket_id":"a b"}`), token, 400, "INVALID_PAYLOAD"},
		"deeply nested":          {"POST", webhookPath, deep, token, 400, "INVALID_PAYLOAD"},
		"another tenant's body":  {"POST", webhookPath + "/acme", []byte(`{"ticket_id":"1","tenant_id":"bolt"}`), token, 400, "INVALID_PAYLOAD"},
		"gzip":                   {"POST", webhookPath + "/acme", []byte("\x1f\x8b\x08"), append([]string{"Content-Encoding", "gzip"}, token...), 400, "INVALID_PAYLOAD"},
	} {
		a := h.do(c.method, h.publicURL()+c.path, c.body, append([]string{"Content-Type", "application/json"}, c.headers...)...)
		require.Equal(t, c.status, a.status, "%s: %s", name, a.body)
		require.Equal(t, c.code, a.code(), name)
		require.Contains(t, a.body, `{"status":"error","error":{"code":`, name)
		require.True(t, strings.HasPrefix(a.header.Get("Content-Type"), "application/json"), name)
		require.NotEmpty(t, a.header.Get(headerRequestID), name)
	}
	// A body of unknown length is counted as it comes.
	req, err := http.NewRequest(http.MethodPost, h.publicURL()+webhookPath+"/acme", io.MultiReader(bytes.NewReader(huge)))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	resp, err := h.client.Do(req)
	require.NoError(t, err)
	_ = resp.Body.Close()
	require.Equal(t, http.StatusRequestEntityTooLarge, resp.StatusCode)
	require.Zero(t, scan[int](h, `SELECT count(*) FROM enhancement_history`))
	// The webhooks are not on the operations port.
	require.Equal(t, http.StatusNotFound, h.do("POST", h.opsURL()+webhookPath, acme.body("1"), token...).status)
}

func TestRequestIDsAreEverywhereAndHarmless(t *testing.T) {
	t.Parallel()
	h := newHarness(t, withRole("serve"))
	acme := h.tenant("acme", nil, nil)
	for _, url := range []string{h.publicURL() + "/health", h.publicURL() + "/health/ready", h.opsURL() + "/health", h.opsURL() + "/nothing"} {
		a, b := h.do("GET", url, nil), h.do("GET", url, nil)
		require.NotEmpty(t, a.header.Get(headerRequestID), url)
		require.NotEqual(t, a.header.Get(headerRequestID), b.header.Get(headerRequestID), url)
	}
	a := h.post(webhookPath, acme.body("1"), "X-ServiceDesk-Token", acme.secret, headerRequestID, "my-id-1")
	require.Equal(t, "my-id-1", a.header.Get(headerRequestID))
	for _, id := range []string{strings.Repeat("x", 101), "with space", "tab\there", "ünïcode"} {
		a := h.do("GET", h.publicURL()+"/nothing", nil, headerRequestID, id)
		require.NotEqual(t, id, a.header.Get(headerRequestID))
		require.Len(t, a.header.Get(headerRequestID), 36)
	}
	// Control characters in what a sender says cannot make lines of their own in the log.
	h.do("GET", h.publicURL()+"/%0d%0a%1b[31m%7b%22level%22:%22error%22%7d", nil)
	h.stop()
	for line := range strings.Lines(h.logs.String()) {
		require.True(t, strings.HasPrefix(line, `{"timestamp":`), line)
		require.NotContains(t, line, "\x1b")
	}
}

func TestOverlargeHeadersAreRefused(t *testing.T) {
	t.Parallel()
	h := newHarness(t, withRole("serve"))
	// The server may close before it has read all, which the client sees as an error.
	a, err := h.try("GET", h.publicURL()+"/health", nil, "X-Padding", strings.Repeat("a", 32<<10))
	if err == nil {
		require.Equal(t, http.StatusRequestHeaderFieldsTooLarge, a.status)
	}
	require.Equal(t, http.StatusOK, h.do("GET", h.publicURL()+"/health", nil, "X-Padding", strings.Repeat("a", 8<<10)).status)
}

// slowly opens a connection, sends the beginning of a request and then a byte now and again, and returns how long it was kept.
func slowly(addr, beginning string) (time.Duration, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close() }()
	start := time.Now()
	if _, err := io.WriteString(conn, beginning); err != nil {
		return 0, err
	}
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		_, _ = io.Copy(io.Discard, bufio.NewReader(conn)) // until the server ends it
	}()
	drip := time.NewTicker(500 * time.Millisecond)
	defer drip.Stop()
	for {
		select {
		case <-closed:
			return time.Since(start), nil
		case <-drip.C:
			_, _ = io.WriteString(conn, "a") // a server that has closed already is what this waits for
		case <-time.After(patience):
			return time.Since(start), fmt.Errorf("still open after %s", patience)
		}
	}
}

func TestSlowSendersAreCutOffAndOthersServed(t *testing.T) {
	t.Parallel()
	h := newHarness(t, withRole("serve"))
	acme := h.tenant("acme", nil, nil)
	const header = "POST " + webhookPath + "/acme HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
	var senders sync.WaitGroup
	hold := func(beginning string, limit time.Duration) {
		senders.Go(func() {
			kept, err := slowly(h.p.publicAddr(), beginning)
			if err != nil || kept > limit {
				t.Errorf("kept for %s: %v", kept, err)
			}
		})
	}
	const slack = 5 * time.Second // the machine may be busy
	for range 150 {
		hold(header+"X-Slow: ", readHeaderTimeout+slack)
	}
	for range 20 {
		hold(header+"Content-Length: 60000\r\n\r\n{", readTimeout+slack)
	}
	var took []time.Duration
	ended := make(chan struct{})
	go func() { senders.Wait(); close(ended) }()
	for n := 0; ; n++ {
		start := time.Now()
		require.Equal(t, http.StatusAccepted, acme.send(acme.body(fmt.Sprint(n), "event", "ticket_updated")).status)
		took = append(took, time.Since(start))
		select {
		case <-ended:
			slices.Sort(took)
			t.Logf("%d requests meanwhile, median %s, slowest %s", len(took), took[len(took)/2], took[len(took)-1])
			require.Less(t, took[len(took)/2], 500*time.Millisecond)
			return
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// With every connection taken by slow senders, a good one waits no longer than they are tolerated.
func TestSlowSendersCannotKeepAllConnections(t *testing.T) {
	t.Parallel()
	h := newHarness(t, withRole("serve"), withConfig(func(c *Config) { c.HTTP.MaxConnections = 10 }))
	acme := h.tenant("acme", nil, nil)
	var senders sync.WaitGroup
	for range 10 {
		conn, err := net.Dial("tcp", h.p.publicAddr())
		require.NoError(t, err)
		defer func() { _ = conn.Close() }()
		senders.Go(func() { _, _ = io.Copy(io.Discard, conn) })
	}
	start := time.Now()
	require.Equal(t, http.StatusAccepted, acme.send(acme.body("1", "event", "ticket_updated")).status)
	require.Less(t, time.Since(start), readHeaderTimeout+5*time.Second)
	senders.Wait()
}

// cable stands between the program and its database, and can be cut.
type cable struct {
	listener net.Listener
	to       string
	mu       sync.Mutex
	state    string // "", "cut" or "silent"
	open     []net.Conn
	all      sync.WaitGroup
}

// withCable puts a cable between the role and its database.
func withCable(t testing.TB, c *cable) harnessOption {
	t.Helper()
	return withConfig(func(cfg *Config) {
		u, err := url.Parse(cfg.Database.URL.Reveal())
		require.NoError(t, err)
		c.to = u.Host
		c.listener, err = net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		u.Host = c.listener.Addr().String()
		require.NoError(t, cfg.Database.URL.UnmarshalText([]byte(u.String())))
		c.all.Go(c.accept)
		t.Cleanup(func() { c.set("cut"); _ = c.listener.Close(); c.all.Wait() })
	})
}

func (c *cable) accept() {
	for {
		conn, err := c.listener.Accept()
		if err != nil {
			return
		}
		c.all.Go(func() { c.join(conn) })
	}
}

func (c *cable) join(from net.Conn) {
	to, err := net.Dial("tcp", c.to)
	if err != nil {
		_ = from.Close()
		return
	}
	c.mu.Lock()
	c.open = append(c.open, from, to)
	if c.state == "cut" {
		_, _ = from.Close(), to.Close()
	}
	c.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { c.carry(to, from) })
	both.Go(func() { c.carry(from, to) })
	both.Wait()
}

// carry passes bytes on; a silent cable swallows them, as a firewall that lost its state does.
func (c *cable) carry(to, from net.Conn) {
	defer func() { _, _ = to.Close(), from.Close() }()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		c.mu.Lock()
		silent := c.state == "silent"
		c.mu.Unlock()
		if silent {
			continue
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}

func (c *cable) set(state string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	// What was silent lost bytes, so its connections cannot go on either.
	if state == "cut" || c.state == "silent" {
		for _, conn := range c.open {
			_ = conn.Close()
		}
		c.open = nil
	}
	c.state = state
}

func TestWithoutItsDatabaseNothingIsAcceptedAndNothingHangs(t *testing.T) {
	t.Parallel()
	for _, outage := range []string{"cut", "silent"} {
		t.Run(outage, func(t *testing.T) {
			t.Parallel()
			wire := &cable{}
			h := newHarness(t, withRole("serve"), withCable(t, wire))
			acme := h.tenant("acme", nil, nil)
			known := acme.body("known", "event", "ticket_updated")
			require.Equal(t, http.StatusAccepted, acme.send(known).status, "the tenant is in memory now")
			wire.set(outage)
			body := acme.body("lost", "event", "ticket_updated")
			var senders sync.WaitGroup
			for _, sent := range []struct{ name, path, credential string }{
				{"authentic", webhookPath, acme.secret}, {"forged", webhookPath, "guess"}, {"unknown", webhookPath + "/nix", "guess"},
			} {
				senders.Go(func() {
					start := time.Now()
					a, err := h.try("POST", h.publicURL()+sent.path, body, "Content-Type", "application/json", "X-ServiceDesk-Token", sent.credential)
					if err != nil || a.status != http.StatusServiceUnavailable || a.code() != "QUEUE_UNAVAILABLE" || a.header.Get("Retry-After") != "5" {
						t.Errorf("%s: %v %v", sent.name, a, err)
					}
					if strings.Contains(a.body, "127.0.0.1") {
						t.Errorf("%s: the cause is for the log: %s", sent.name, a.body)
					}
					if took := time.Since(start); took > 12*time.Second {
						t.Errorf("%s: answered after %s", sent.name, took)
					}
				})
			}
			senders.Wait()
			require.Equal(t, http.StatusOK, h.do("GET", h.publicURL()+"/health", nil).status, "a restart would not help")
			ready := h.do("GET", h.publicURL()+"/health/ready", nil)
			require.Equal(t, http.StatusServiceUnavailable, ready.status)
			require.Contains(t, ready.body, `"database":"disconnected"`)
			require.Equal(t, 1, scan[int](h, `SELECT count(*) FROM enhancement_history`), "nothing was recorded")

			wire.set("")
			require.Eventually(t, func() bool { return acme.send(body).status == http.StatusAccepted }, patience, 20*time.Millisecond)
			require.Equal(t, 2, scan[int](h, `SELECT count(*) FROM enhancement_history`), "the sender's second try is the first that counts")
		})
	}
}
