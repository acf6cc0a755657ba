package monitoring

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"aiagents/modules/enhancement/evidence"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// at is the time of every ticket of these tests.
var at = time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)

var (
	fileServer = evidence.System{Hostname: "FS-01.corp.example", IP: "10.2.3.4", Role: "File server"}
	webServer  = evidence.System{Hostname: "web-07", IP: "2001:db8::7", Role: "web server"}
)

const token = "s3cret-t0ken"

func secrets(name string) (string, error) {
	switch name {
	case "token":
		return token + "\n", nil
	case "basic":
		return "reader:" + token, nil
	case "app":
		return "app-key", nil
	case "empty":
		return "", nil
	}
	return "", errors.New("there is no such secret")
}

// serve starts a simulator and returns its address and a client without idle connections to leave behind.
func serve(t *testing.T, handler http.Handler) (string, *http.Client) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL, &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
}

// open makes the one provider of a configuration; BASE stands for the simulator's address.
func open(t *testing.T, handler http.Handler, cfg Config) Provider {
	t.Helper()
	base, client := serve(t, handler)
	cfg.BaseURL = base + cfg.BaseURL
	raw, err := json.Marshal(map[string]any{"providers": []Config{cfg}})
	require.NoError(t, err)
	providers, err := Open(raw, secrets, client)
	require.NoError(t, err)
	require.Len(t, providers, 1)
	return providers[0]
}

func request(hosts ...evidence.System) Request {
	return Request{Hosts: hosts, At: at, Window: 30 * time.Minute}.prepared()
}

// answer writes JSON.
func answer(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body))
}

// brief is an observation without links, for comparing.
type brief struct {
	Host, Summary, Severity string
	Since                   time.Time
	AboutHost               bool
}

func briefs(observations []evidence.Observation) []brief {
	var all []brief
	for _, o := range observations {
		all = append(all, brief{o.Host, o.Summary, o.Severity, o.Since.UTC(), o.AboutHost})
	}
	return all
}
