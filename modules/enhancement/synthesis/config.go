package synthesis

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"time"

	"aiagents/internal/secret"
)

// Config says which model to ask, and how long to wait for it. The zero value of a field takes its default.
type Config struct {
	// APIKey is sent as a bearer token. It may stay unset when BaseURL names a server that needs none.
	APIKey secret.Secret
	// BaseURL ends in /v1 for nearly every server; default https://api.openai.com/v1.
	BaseURL string
	// Model is asked first, FallbackModels in turn when the one before is unknown to the server or retired.
	Model          string
	FallbackModels []string
	// Organization and Project are sent as headers when set. The SDK's environment variables are never read.
	Organization string
	Project      string
	// Headers are added to every request, for gateways that want their own.
	Headers map[string]string
	// Timeout is for one attempt (30 s), Attempts how often a request is made in all (2), RetryDelay the pause between (5 s).
	Timeout    time.Duration
	Attempts   int
	RetryDelay time.Duration
	// CAFile is a PEM file of authorities trusted besides the system's; not used when HTTPClient is set.
	CAFile     string
	HTTPClient *http.Client
	// Wrap, when set, is put around the client's transport: for traces.
	Wrap func(http.RoundTripper) http.RoundTripper
	// MaxInputTokens is the budget for evidence in one request (6000), by estimate. MaxOutputTokens (4000) includes what a
	// reasoning model spends on thinking.
	MaxInputTokens  int
	MaxOutputTokens int
	// ReasoningEffort is sent when set; many compatible servers refuse it.
	ReasoningEffort string
	// KeepHosts and KeepAddresses send host names and addresses as they are instead of placeholders.
	KeepHosts     bool
	KeepAddresses bool
	// AllowedURLHosts are hosts whose URLs may stand in an answer as plain text; default none.
	AllowedURLHosts []string
	// BreakerFailures in a row (5) open the circuit for BreakerCooldown (1 min); a billing or key fault opens it at once,
	// for ten times as long.
	BreakerFailures int
	BreakerCooldown time.Duration
}

const (
	defaultBaseURL = "https://api.openai.com/v1"
	// maxCalls bounds what one ticket can cost, whatever goes wrong.
	maxCalls = 3
	// longestWait is how long a server may ask us to wait before the ticket is better served without a model.
	longestWait = 15 * time.Second
	// retiredFor is how long a model that the server does not know is skipped before it is tried again.
	retiredFor = 10 * time.Minute
)

func (c Config) withDefaults() Config {
	set := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	count := func(n *int, v int) {
		if *n <= 0 {
			*n = v
		}
	}
	if c.BaseURL == "" {
		c.BaseURL = defaultBaseURL
	}
	set(&c.Timeout, 30*time.Second)
	set(&c.RetryDelay, 5*time.Second)
	set(&c.BreakerCooldown, time.Minute)
	count(&c.Attempts, 2)
	count(&c.MaxInputTokens, 6000)
	count(&c.MaxOutputTokens, 4000)
	count(&c.BreakerFailures, 5)
	return c
}

// configured needs a model, and a key unless the server is the operator's own.
func (c Config) configured() bool {
	return c.Model != "" && (c.APIKey.IsSet() || c.BaseURL != defaultBaseURL)
}

func (c Config) models() []string { return append([]string{c.Model}, c.FallbackModels...) }

// maxIdleConns is as many calls as a process may have under way with a high concurrency.
const maxIdleConns = 512

// httpClient never follows redirects: the key would travel with them.
func (c Config) httpClient() (*http.Client, error) {
	var client http.Client
	if c.HTTPClient != nil {
		client = *c.HTTPClient
	} else {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
		// All calls go to one host; net/http keeps two connections to it by default, and opens a new one for every further call.
		transport.MaxIdleConns, transport.MaxIdleConnsPerHost = 0, maxIdleConns
		if c.CAFile != "" {
			pool, err := authorities(c.CAFile)
			if err != nil {
				return nil, err
			}
			transport.TLSClientConfig.RootCAs = pool
		}
		client.Transport = transport
	}
	if c.Wrap != nil {
		client.Transport = c.Wrap(cmp.Or(client.Transport, http.DefaultTransport))
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &client, nil
}

func authorities(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file) // #nosec G304 -- the operator names the file
	if err != nil {
		return nil, fmt.Errorf("read certificate authorities for the model server: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read certificate authorities for the model server: %s holds no PEM certificate", file)
	}
	return pool, nil
}
