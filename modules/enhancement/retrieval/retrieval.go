package retrieval

import (
	"fmt"
	"log/slog"

	"aiagents/db"
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
}

// DefaultConfig shows five tickets and three articles at most.
func DefaultConfig() Config {
	return Config{SimilarLimit: 5, ArticleLimit: 3, SimilarFloor: 0.20, ArticleFloor: 0.10}
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
	}{{"similar_floor", c.SimilarFloor}, {"article_floor", c.ArticleFloor}} {
		if floor.value < 0 || floor.value > 1 {
			faults = append(faults, fmt.Sprintf("retrieval.%s: must be 0 to 1", floor.name))
		}
	}
	return faults
}

// Store keeps and searches past tickets and articles. It is safe for concurrent use.
type Store struct {
	db  *db.DB
	cfg Config
	log *slog.Logger
}

// New returns a store on a database.
func New(db *db.DB, cfg Config, log *slog.Logger) *Store { return &Store{db: db, cfg: cfg, log: log} }
