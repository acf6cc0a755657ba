package egress

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// local is the policy of development, under which tests can reach their own servers.
func local(t *testing.T) *Guard {
	t.Helper()
	g, err := New(Policy{AllowLoopback: true, AllowHTTP: true})
	require.NoError(t, err)
	return g
}

func get(t *testing.T, c *http.Client, url string) (string, *http.Response, error) {
	t.Helper()
	t.Cleanup(c.CloseIdleConnections)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	resp, err := c.Do(req)
	if err != nil {
		return "", nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return string(body), resp, err
}

func TestAnAddressIsRefusedWhenItIsDialledWhateverItsSpelling(t *testing.T) {
	t.Parallel()
	var connections atomic.Int32
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ConnState = func(net.Conn, http.ConnState) { connections.Add(1) }
	server.Start()
	t.Cleanup(server.Close)
	port := server.URL[strings.LastIndexByte(server.URL, ':'):]
	production, err := New(Policy{AllowHTTP: true}) // http, so that the dialler alone decides
	require.NoError(t, err)
	for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0", "[::1]", "[::]", "①②⑦.⓪.⓪.①"} {
		_, _, err := get(t, production.Client(Options{Timeout: 2 * time.Second}), "http://"+host+port)
		require.ErrorIs(t, err, ErrRefused, host)
	}
	require.Zero(t, connections.Load(), "not one connection was made")
	_, resp, err := get(t, local(t).Client(Options{}), server.URL)
	require.NoError(t, err)
	require.Equal(t, http.StatusNotFound, resp.StatusCode)
	require.NotZero(t, connections.Load(), "the same server is reached where the policy allows it")
}

func TestARequestIsRefusedByItsURLBeforeAnythingIsSent(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	production, err := New(Policy{AllowLoopback: true})
	require.NoError(t, err)
	_, _, err = get(t, production.Client(Options{}), server.URL)
	require.ErrorIs(t, err, ErrRefused, "plain http")
	_, _, err = get(t, local(t).Client(Options{}), strings.Replace(server.URL, "//", "//user:pw@", 1))
	require.ErrorIs(t, err, ErrRefused, "credentials in the URL")
}

func TestRedirectsAreResultsAndNoProxyIsUsed(t *testing.T) {
	t.Parallel()
	var followed atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/elsewhere" {
			followed.Store(true)
		}
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	}))
	t.Cleanup(server.Close)
	_, resp, err := get(t, local(t).Client(Options{}), server.URL)
	require.NoError(t, err)
	require.Equal(t, http.StatusTemporaryRedirect, resp.StatusCode)
	require.False(t, followed.Load())
	require.Nil(t, local(t).Transport(Options{}).(*transport).base.Proxy)
}

func TestAnAnswerIsWholeOrAnError(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := strings.Repeat("x", 1000)
		if r.URL.Path == "/chunked" {
			w.(http.Flusher).Flush()
		}
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(server.Close)
	for _, path := range []string{"/", "/chunked"} {
		body, _, err := get(t, local(t).Client(Options{MaxResponse: 1000}), server.URL+path)
		require.NoError(t, err)
		require.Len(t, body, 1000)
		_, _, err = get(t, local(t).Client(Options{MaxResponse: 999}), server.URL+path)
		require.ErrorIs(t, err, ErrTooLarge)
	}
}

func TestASilentServerIsGivenUp(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	t.Cleanup(func() { close(release); server.Close() })
	start := time.Now()
	_, _, err := get(t, local(t).Client(Options{Timeout: 50 * time.Millisecond}), server.URL)
	require.Error(t, err)
	require.Less(t, time.Since(start), 5*time.Second)
}

func TestTLSIsVerifiedAgainstTheOperatorsBundleToo(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.NotFoundHandler())
	server.Config.ErrorLog = discard
	t.Cleanup(server.Close)
	unknown, err := New(Policy{AllowLoopback: true})
	require.NoError(t, err)
	_, _, err = get(t, unknown.Client(Options{}), server.URL)
	require.ErrorContains(t, err, "certificate")

	bundle := filepath.Join(t.TempDir(), "ca.pem")
	block := &pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}
	require.NoError(t, os.WriteFile(bundle, pem.EncodeToMemory(block), 0o600))
	known, err := New(Policy{AllowLoopback: true, CAFile: bundle})
	require.NoError(t, err)
	for _, single := range []bool{false, true} {
		_, resp, err := get(t, known.Client(Options{SingleUse: single}), server.URL)
		require.NoError(t, err)
		require.Equal(t, http.StatusNotFound, resp.StatusCode)
		require.Equal(t, 1, resp.ProtoMajor, "this server offers no HTTP/2")
	}
}

func TestOldTLSIsRefused(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.TLS = &tls.Config{MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}
	server.Config.ErrorLog = discard
	server.StartTLS()
	t.Cleanup(server.Close)
	g, err := New(Policy{AllowLoopback: true})
	require.NoError(t, err)
	_, _, err = get(t, g.Client(Options{}), server.URL)
	require.ErrorContains(t, err, "protocol version")
}

func TestAnUnusableBundleIsAnErrorAtStart(t *testing.T) {
	t.Parallel()
	_, err := New(Policy{CAFile: filepath.Join(t.TempDir(), "none.pem")})
	require.Error(t, err)
	empty := filepath.Join(t.TempDir(), "empty.pem")
	require.NoError(t, os.WriteFile(empty, []byte("no certificate"), 0o600))
	_, err = New(Policy{CAFile: empty})
	require.ErrorContains(t, err, "no PEM certificate")
}

// TestASingleUseRequestIsNeverReplayed lets a server apply a POST and drop the connection. An ordinary client repeats the
// request by itself when it looks replayable and the connection was a used one: the first case shows that this happens.
func TestASingleUseRequestIsNeverReplayed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		single  bool
		applied int32
	}{{"ordinary client", false, 2}, {"single-use client", true, 1}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var applied atomic.Int32
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodPost && applied.Add(1) == 1 {
					panic(http.ErrAbortHandler)
				}
			}))
			server.Config.ErrorLog = discard
			t.Cleanup(server.Close)
			client := local(t).Client(Options{SingleUse: c.single})
			_, _, err := get(t, client, server.URL) // leaves a connection to reuse, if connections are kept
			require.NoError(t, err)
			req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, server.URL, strings.NewReader("note"))
			require.NoError(t, err)
			req.Header.Set("Idempotency-Key", "k") // the trap: makes net/http think that it may repeat
			resp, err := client.Do(req)
			if err == nil {
				_ = resp.Body.Close()
			}
			require.Equal(t, c.single, err != nil, "a lost answer is an error, unless it was silently sent again")
			require.Equal(t, c.applied, applied.Load())
		})
	}
}

var discard = log.New(io.Discard, "", 0)
