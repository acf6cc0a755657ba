package docsearch

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"aiagents/modules/enhancement/evidence"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const token = "s3cret-t0ken"

func secrets(name string) (string, error) {
	switch name {
	case "token":
		return token + "\n", nil
	case "basic":
		return "reader@acme.example:" + token, nil
	case "wrong":
		return "wr0ng", nil
	case "empty":
		return "", nil
	}
	return "", errors.New("there is no such secret")
}

// simulator answers like a product: GET only, known paths and parameters only, the right credential only.
type simulator struct {
	header [2]string // the credential
	accept string
	// routes are the answers by path; params are the parameters that each must and may have.
	routes map[string]string
	params map[string][]string
	// status, when set, is the answer to every authentic request.
	status  int
	calls   atomic.Int64
	queries []url.Values // of one test at a time
}

func (s *simulator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.calls.Add(1)
	s.queries = append(s.queries, r.URL.Query())
	body, known := s.routes[r.URL.Path]
	var names []string
	for name := range r.URL.Query() {
		names = append(names, name)
	}
	slices.Sort(names)
	switch {
	case r.Method != http.MethodGet:
		answer(w, http.StatusMethodNotAllowed, `{}`)
	case r.Header.Get(s.header[0]) != s.header[1]:
		answer(w, http.StatusUnauthorized, `{"error":"bad credential `+token+`"}`)
	case strings.Contains(r.URL.Path, "password"), !known:
		answer(w, http.StatusNotFound, `{}`)
	case s.accept != "" && (r.Header.Get("Accept") != s.accept || r.Header.Get("Content-Type") != s.accept):
		answer(w, http.StatusUnsupportedMediaType, `{}`)
	case !slices.Equal(names, s.params[r.URL.Path]):
		answer(w, http.StatusBadRequest, `{}`)
	case s.status != 0:
		w.Header().Set("Retry-After", "9")
		w.Header().Set("Location", "https://elsewhere.example/")
		answer(w, s.status, `{}`)
	default:
		answer(w, http.StatusOK, body)
	}
}

func answer(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body))
}

// open starts a simulator and makes the one provider of a configuration; its base address is the simulator's, with the
// configuration's as its path.
func open(t *testing.T, handler http.Handler, cfg Config) Provider {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	cfg.BaseURL = server.URL + cfg.BaseURL
	raw, err := json.Marshal(map[string]any{"providers": []Config{cfg}})
	require.NoError(t, err)
	providers, err := Open(raw, secrets, &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute})
	require.NoError(t, err)
	require.Len(t, providers, 1)
	return providers[0]
}

// brief is an article without its address, which has a random port, and its id.
type brief struct {
	Title, Section, Excerpt, Source, Path string
	Score                                 float64
}

func briefs(t *testing.T, articles []evidence.Article) []brief {
	t.Helper()
	var all []brief
	for _, a := range articles {
		require.Regexp(t, `^KB-[A-Z2-7]{6}$`, a.ID)
		u, err := url.Parse(a.URL)
		require.NoError(t, err)
		all = append(all, brief{a.Title, a.Section, a.Excerpt, a.Source, u.RequestURI(), a.Score})
	}
	return all
}

var ticket = evidence.Ticket{
	ID: "4711", Subject: "VPN drops with error 0x80070005",
	Description: "Since this morning the FortiClient on LT-0815 does not connect.", Requester: "Erika Mustermann",
}

var words = []string{"0x80070005", "LT-0815", "VPN", "FortiClient"}

// fakeProvider counts its calls.
type fakeProvider struct {
	name, key string
	found     []evidence.Article
	err       error
	calls     atomic.Int64
}

func (f *fakeProvider) Name() string { return f.name }
func (f *fakeProvider) Key() string  { return f.key }

func (f *fakeProvider) article(id string, score float64) *fakeProvider {
	f.found = append(f.found, evidence.Article{ID: id, Title: fmt.Sprint("Title ", id), Score: score})
	return f
}
