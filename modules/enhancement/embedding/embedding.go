package embedding

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/packages/param"

	"aiagents/internal/fault"
	"aiagents/internal/secret"
)

// MaxTexts is the most texts of one request: with MaxBytes it keeps a request below the servers' limit of 300,000 tokens.
const MaxTexts = 32

// MaxBytes is how much of a text is sent. A token has at least one byte, so no text exceeds the models' 8,192 tokens.
const MaxBytes = 8_000

// Config says which model to ask.
type Config struct {
	// BaseURL ends in /v1 for nearly every server.
	BaseURL string
	// APIKey is sent as a bearer token when it is set.
	APIKey secret.Secret
	Model  string
	// Dimensions is the length of the vectors. It is sent only where SendDimensions is set: older models refuse it.
	Dimensions     int
	SendDimensions bool
	// Client makes the requests. It must not follow redirects: the key would travel with them.
	Client *http.Client
}

// Client asks one server. It is safe for concurrent use.
type Client struct {
	cfg     Config
	service openai.EmbeddingService
}

// New returns a client. The service is built without openai.NewClient, which would read key and address from the environment.
func New(cfg Config) *Client {
	opts := []option.RequestOption{
		option.WithBaseURL(strings.TrimRight(cfg.BaseURL, "/") + "/"), option.WithMaxRetries(0), option.WithHTTPClient(cfg.Client),
	}
	if cfg.APIKey.IsSet() {
		opts = append(opts, option.WithAPIKey(cfg.APIKey.Reveal()))
	}
	return &Client{cfg: cfg, service: openai.NewEmbeddingService(opts...)}
}

// Embed returns one vector a text, in order, and how many tokens the server counted. There must be 1 to MaxTexts texts.
func (c *Client) Embed(ctx context.Context, texts []string) (vectors [][]float32, tokens int64, err error) {
	if len(texts) == 0 || len(texts) > MaxTexts {
		return nil, 0, fault.Newf(fault.Invalid, "1 to %d texts can be embedded at once", MaxTexts)
	}
	sent := make([]string, len(texts))
	for i, text := range texts {
		sent[i] = sendable(text)
	}
	params := openai.EmbeddingNewParams{
		Model: c.cfg.Model, Input: openai.EmbeddingNewParamsInputUnion{OfArrayOfStrings: sent},
		EncodingFormat: openai.EmbeddingNewParamsEncodingFormatFloat,
	}
	if c.cfg.SendDimensions {
		params.Dimensions = param.NewOpt(int64(c.cfg.Dimensions))
	}
	answer, err := c.service.New(ctx, params)
	if err != nil {
		return nil, 0, classify(err)
	}
	if vectors, err = c.ordered(answer.Data, len(texts)); err != nil {
		return nil, 0, err
	}
	return vectors, answer.Usage.TotalTokens, nil
}

// ordered puts the vectors where their index says. An answer that is not complete is none: a vector that belongs to another
// text would be found for ever.
func (c *Client) ordered(data []openai.Embedding, n int) ([][]float32, error) {
	vectors := make([][]float32, n)
	for _, d := range data {
		if d.Index < 0 || d.Index >= int64(n) || vectors[d.Index] != nil || len(d.Embedding) != c.cfg.Dimensions {
			return nil, fault.Newf(fault.Invalid, "the embedding server's answer does not fit: expected %d vectors of %d numbers", n, c.cfg.Dimensions)
		}
		vector := make([]float32, len(d.Embedding))
		for i, v := range d.Embedding {
			vector[i] = float32(v)
		}
		vectors[d.Index] = vector
	}
	if len(data) != n {
		return nil, fault.Newf(fault.Invalid, "the embedding server gave %d vectors for %d texts", len(data), n)
	}
	return vectors, nil
}

// sendable cuts a text at a rune. Servers refuse an empty text.
func sendable(text string) string {
	if len(text) > MaxBytes {
		n := MaxBytes
		for n > 0 && !utf8.RuneStart(text[n]) {
			n--
		}
		text = text[:n]
	}
	if strings.TrimSpace(text) == "" {
		return "-"
	}
	return text
}

// classify keeps the server's words out of the error: they may quote the text.
func classify(err error) error {
	var answer *openai.Error
	if !errors.As(err, &answer) {
		return fault.Wrap(fault.Unavailable, fmt.Errorf("embed: %w", err), "the embedding server cannot be reached")
	}
	status := fmt.Errorf("embed: the server answered %d", answer.StatusCode)
	if answer.StatusCode == http.StatusTooManyRequests || answer.StatusCode >= http.StatusInternalServerError {
		return fault.Wrap(fault.Unavailable, status, "the embedding server is busy")
	}
	return fault.Wrap(fault.Invalid, status, "the embedding server refused the request: check model, dimensions and key")
}

// HTTPClient returns a client as Config wants it, with a limit for one request.
func HTTPClient(timeout time.Duration) *http.Client {
	return &http.Client{Timeout: timeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}
