package openai

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// ErrorStyle is the shape of error bodies, which differs among compatible servers.
type ErrorStyle string

// The error styles.
const (
	Standard ErrorStyle = ""       // {"error":{"message","type","param","code"}}
	Flat     ErrorStyle = "flat"   // {"object":"error","message",…}, as older vLLM
	Plain    ErrorStyle = "string" // {"error":"message"}, as Ollama
)

// Options configures a Server. The zero value takes any key and plays DefaultModels.
type Options struct {
	APIKey string // empty takes any bearer token
	Models []Model
	// Respond writes the content of good answers; default Synthesize.
	Respond func(Request) string
	// Behave chooses the behaviour for requests that nothing is scripted for.
	Behave func(Request) Behaviour
	// Latency is waited before every answer.
	Latency func(Request) time.Duration
	// Refuse lists further top-level arguments this server does not know, as local
	// servers do (for example response_format or max_completion_tokens).
	Refuse []string
	Errors ErrorStyle
	// CountersOnly keeps counts of requests instead of the requests themselves.
	CountersOnly bool
	Clock        func() time.Time
}

// Server is one simulated API. It is safe for concurrent use.
type Server struct {
	// opts and models do not change once the server exists.
	opts   Options
	models []Model
	done   chan struct{}
	close  sync.Once

	mu      sync.Mutex
	key     string
	queue   []Behaviour
	byModel map[string][]Behaviour
	always  *Behaviour
	log     []Record
	calls   map[string]int
	total   int
}

// New returns a server that is ready to serve.
func New(opts Options) *Server {
	if opts.Clock == nil {
		opts.Clock = time.Now
	}
	if opts.Respond == nil {
		opts.Respond = Synthesize
	}
	if opts.Models == nil {
		opts.Models = DefaultModels()
	}
	return &Server{
		opts: opts, models: opts.Models, key: opts.APIKey, done: make(chan struct{}),
		byModel: map[string][]Behaviour{}, calls: map[string]int{},
	}
}

// Handler serves the API below /v1.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/chat/completions", s.guard(s.chat))
	mux.HandleFunc("POST /v1/embeddings", s.guard(s.embeddings))
	mux.HandleFunc("GET /v1/models", s.guard(s.listModels))
	mux.HandleFunc("GET /v1/models/{id}", s.guard(s.getModel))
	mux.HandleFunc("/", s.guard(func(c *call) *answer {
		return s.refuse(http.StatusNotFound, apiError{message: fmt.Sprintf("Invalid URL (%s %s)", c.Method, c.URL.Path), kind: invalidRequest})
	}))
	return mux
}

// Close ends stalled requests.
func (s *Server) Close() { s.close.Do(func() { close(s.done) }) }

// SetAPIKey replaces the key; the old one is refused at once.
func (s *Server) SetAPIKey(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.key = key
}

// call is one request on its way through the server.
type call struct {
	*http.Request
	body  []byte
	entry int // in the log; negative with CountersOnly
}

const maxBody = 8 << 20

// guard reads, authenticates, records and answers.
func (s *Server) guard(handle func(*call) *answer) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		c := &call{Request: r, body: body}
		number := s.begin(c)
		w.Header().Set("X-Request-Id", "req_sim_"+strconv.Itoa(number))
		w.Header().Set("Openai-Processing-Ms", "1")
		var a *answer
		switch {
		case err != nil:
			a = s.refuse(http.StatusRequestEntityTooLarge, apiError{message: "Request too large", kind: invalidRequest})
		case r.Method == http.MethodPost && !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json"):
			a = s.refuse(http.StatusBadRequest, apiError{message: "We could not parse the JSON body of your request.", kind: invalidRequest})
		default:
			if a = s.authenticate(r); a == nil {
				a = handle(c)
			}
		}
		s.end(c, a)
		a.send(w, s.done)
	}
}

// authenticate tells a missing key from a wrong one, as the real API does.
func (s *Server) authenticate(r *http.Request) *answer {
	s.mu.Lock()
	want := s.key
	s.mu.Unlock()
	key, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok || key == "" {
		return s.refuse(http.StatusUnauthorized, apiError{message: "You didn't provide an API key.", kind: invalidRequest})
	}
	if want != "" && key != want {
		return s.refuse(http.StatusUnauthorized, apiError{
			message: "Incorrect API key provided.", kind: invalidRequest, code: "invalid_api_key",
		})
	}
	return nil
}

// Listening is a Server that listens.
type Listening struct {
	URL    string // http://127.0.0.1:port/v1, the base URL for clients
	server *Server
	http   *http.Server
	done   chan error
}

// Serve listens on a loopback address, for example "127.0.0.1:0".
func Serve(addr string, s *Server) (*Listening, error) {
	tcp, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("resolve %s: %w", addr, err)
	}
	if !tcp.IP.IsLoopback() {
		return nil, fmt.Errorf("address %s is not loopback", addr)
	}
	l, err := net.ListenTCP("tcp", tcp)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	out := &Listening{
		URL: "http://" + l.Addr().String() + "/v1", server: s, done: make(chan error, 1),
		http: &http.Server{Handler: s.Handler(), ReadHeaderTimeout: 10 * time.Second},
	}
	go func() { out.done <- out.http.Serve(l) }()
	return out, nil
}

// Close stops listening and ends stalled requests.
func (l *Listening) Close() error {
	l.server.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if l.http.Shutdown(ctx) != nil {
		_ = l.http.Close()
	}
	if err := <-l.done; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}

// wait blocks for the delay (for ever if negative), until the caller leaves or until
// the server closes. It reports whether the delay passed.
func (s *Server) wait(ctx context.Context, delay time.Duration) bool {
	var passed <-chan time.Time
	if delay == 0 {
		return true
	}
	if delay > 0 {
		timer := time.NewTimer(delay)
		defer timer.Stop()
		passed = timer.C
	}
	select {
	case <-passed:
		return true
	case <-ctx.Done():
	case <-s.done:
	}
	return false
}
