package retrieval

import (
	"fmt"
	"log/slog"
	"net/url"
	"time"

	"aiagents/db"
	"aiagents/internal/secret"
)

// Config sets how much a search shows.
type Config struct {
	// SimilarLimit and ArticleLimit are how many results a search gives when the query names no limit.
	SimilarLimit int `yaml:"similar_limit"`
	ArticleLimit int `yaml:"article_limit"`
	// SimilarFloor is the calibrated probability, 0 to 1, below which a past ticket is not shown.
	SimilarFloor float64 `yaml:"similar_floor"`
	// ArticleFloor is the share, 0 to 1, of the ticket's own weight that a section must reach to be shown.
	ArticleFloor float64 `yaml:"article_floor"`
	// Embeddings is the optional search by meaning.
	Embeddings EmbeddingsConfig `yaml:"embeddings"`
}

// EmbeddingsConfig sets the search by meaning, which needs the extension pgvector and an OpenAI-compatible server.
type EmbeddingsConfig struct {
	Enabled bool          `yaml:"enabled"`
	BaseURL string        `yaml:"base_url"`
	APIKey  secret.Secret `yaml:"api_key"`
	Model   string        `yaml:"model"`
	// Dimensions is the length of the vectors; SendDimensions asks the server for it, which older models refuse.
	Dimensions     int  `yaml:"dimensions"`
	SendDimensions bool `yaml:"send_dimensions"`
	// Timeout is how long a search waits for the server, and again for the database, before it goes on without.
	Timeout time.Duration `yaml:"timeout"`
	// MaxTickets is how many of a tenant's newest tickets have a vector and are compared with.
	MaxTickets int `yaml:"max_tickets"`
	// SimilarityFloor is the cosine from which a ticket is shown that the words alone would not show.
	SimilarityFloor float64 `yaml:"similarity_floor"`
	// USDPerMillionTokens is the price that costs are counted at.
	USDPerMillionTokens float64 `yaml:"usd_per_million_tokens"`
}

// DefaultConfig shows five tickets and three articles at most.
func DefaultConfig() Config {
	return Config{
		SimilarLimit: 5, ArticleLimit: 3, SimilarFloor: 0.20, ArticleFloor: 0.10,
		Embeddings: EmbeddingsConfig{
			BaseURL: "https://api.openai.com/v1", Model: "text-embedding-3-small", Dimensions: 512, SendDimensions: true,
			Timeout: 500 * time.Millisecond, MaxTickets: 20_000, SimilarityFloor: 0.75,
		},
	}
}

// Validate names every fault of the configuration.
func (c Config) Validate() []string {
	var faults []string
	for _, limit := range []struct {
		name  string
		value int
	}{{"similar_limit", c.SimilarLimit}, {"article_limit", c.ArticleLimit}} {
		if limit.value < 1 || limit.value > candidateLimit {
			faults = append(faults, fmt.Sprintf("retrieval.%s: must be 1 to %d", limit.name, candidateLimit))
		}
	}
	for _, floor := range []struct {
		name  string
		value float64
	}{{"similar_floor", c.SimilarFloor}, {"article_floor", c.ArticleFloor}, {"embeddings.similarity_floor", c.Embeddings.SimilarityFloor}} {
		if floor.value < 0 || floor.value > 1 {
			faults = append(faults, fmt.Sprintf("retrieval.%s: must be 0 to 1", floor.name))
		}
	}
	return append(faults, c.Embeddings.validate()...)
}

func (c EmbeddingsConfig) validate() []string {
	if !c.Enabled {
		return nil
	}
	var faults []string
	need := func(ok bool, fault string) {
		if !ok {
			faults = append(faults, "retrieval.embeddings."+fault)
		}
	}
	u, err := url.Parse(c.BaseURL)
	need(err == nil && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http"), "base_url: must be a URL such as https://api.openai.com/v1")
	need(c.Model != "", "model: must be set")
	need(c.Dimensions >= 1 && c.Dimensions <= maxDimensions, fmt.Sprintf("dimensions: must be 1 to %d", maxDimensions))
	need(c.Timeout >= 10*time.Millisecond && c.Timeout <= 5*time.Second, "timeout: must be 10ms to 5s")
	need(c.MaxTickets >= 1 && c.MaxTickets <= 1_000_000, "max_tickets: must be 1 to 1000000")
	need(c.USDPerMillionTokens >= 0, "usd_per_million_tokens: must be 0 or more")
	return faults
}

// maxDimensions is what a column of pgvector holds.
const maxDimensions = 16_000

// Store keeps and searches past tickets and articles. It is safe for concurrent use.
type Store struct {
	db     *db.DB
	cfg    Config
	log    *slog.Logger
	index  *postings
	hybrid *hybrid
}

// New returns a store on a database.
func New(db *db.DB, cfg Config, log *slog.Logger) *Store {
	return &Store{db: db, cfg: cfg, log: log, index: newPostings(), hybrid: newHybrid(cfg.Embeddings)}
}
