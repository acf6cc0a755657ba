package docsearch

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"aiagents/modules/enhancement/evidence"
)

const (
	// TimeLimit is how long all providers of a tenant have together.
	TimeLimit = 10 * time.Second
	// MaxArticles is how many articles Search returns at most.
	MaxArticles = 3
	// CacheTime is how long a result is kept.
	CacheTime = time.Hour

	// resultLimit is how many results a provider is asked for.
	resultLimit = 5
	// maxText is how much of a document is read, in bytes.
	maxText = 200 << 10
	// minScore is the share of the keywords that an article must have to be shown.
	minScore = 0.25
)

// Provider is one documentation system of one tenant. It is safe for concurrent use.
type Provider interface {
	// Name is what the note calls the provider.
	Name() string
	// Key identifies the configuration; results are cached under it.
	Key() string
	// Search finds articles for the keywords. Its errors are faults: Unauthenticated, Limited, Invalid (the configuration is
	// wrong) or Unavailable.
	Search(ctx context.Context, keywords []string) ([]evidence.Article, error)
}

// Searcher searches documentation and keeps results for an hour. It is safe for concurrent use.
type Searcher struct {
	cache *cache
}

// New returns a searcher whose cache goes by the given clock.
func New(clock func() time.Time) *Searcher { return &Searcher{cache: newCache(clock)} }

// CacheStats tells how often a result was still in memory, and how often a provider had to be asked.
func (s *Searcher) CacheStats() (hits, misses uint64) { return s.cache.stats() }

// Search asks all providers of a tenant at once, within TimeLimit, and returns the best articles, at most three. When
// providers fail, what the others found is returned together with an error that names each failure.
func (s *Searcher) Search(ctx context.Context, tenantID string, providers []Provider, t evidence.Ticket) ([]evidence.Article, error) {
	keywords := Keywords(t)
	if len(keywords) == 0 {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, TimeLimit)
	defer cancel()
	results := make([][]evidence.Article, len(providers))
	failures := make([]error, len(providers))
	var wg sync.WaitGroup
	for i, p := range providers {
		wg.Go(func() {
			var err error
			if results[i], err = s.ask(ctx, tenantID, p, keywords); err != nil {
				failures[i] = fmt.Errorf("search %s: %w", p.Name(), err)
			}
		})
	}
	wg.Wait()
	return best(slices.Concat(results...)), errors.Join(failures...)
}

// ask takes the result from the cache, or asks the provider. A failure is not kept.
func (s *Searcher) ask(ctx context.Context, tenantID string, p Provider, keywords []string) ([]evidence.Article, error) {
	key := cacheKey{tenantID: tenantID, provider: p.Key(), query: sha256.Sum256([]byte(strings.Join(keywords, "\n")))}
	if found, ok := s.cache.get(key); ok {
		return found, nil
	}
	found, err := p.Search(ctx, keywords)
	if err != nil {
		return nil, err
	}
	s.cache.put(key, found)
	return found, nil
}

// best drops what has too little to do with the ticket, and orders the rest. Equals stay in their providers' order.
func best(all []evidence.Article) []evidence.Article {
	all = slices.DeleteFunc(all, func(a evidence.Article) bool { return a.Score < minScore })
	slices.SortStableFunc(all, func(a, b evidence.Article) int { return cmp.Compare(b.Score, a.Score) })
	seen := map[string]bool{}
	all = slices.DeleteFunc(all, func(a evidence.Article) bool {
		known := seen[a.ID]
		seen[a.ID] = true
		return known
	})
	return all[:min(len(all), MaxArticles)]
}

// document is what a provider found, before it becomes evidence.
type document struct {
	id      string // unique at the provider
	title   string
	section string
	text    string // HTML or text
	url     string // absolute, or relative to the provider's address
}

// article makes a document into evidence. Its id is the same for ever: a hash of where it is from and its id there.
func (s source) article(d document, keywords []string) evidence.Article {
	text := cut(plain(d.text), maxText)
	title := oneLine(plain(d.title))
	sum := sha256.Sum256([]byte(s.kind + " " + s.client.base.String() + " " + d.id))
	return evidence.Article{
		ID: "KB-" + base32.StdEncoding.EncodeToString(sum[:])[:6], Title: cut(masked(title), maxTitle),
		Section: cut(masked(oneLine(plain(d.section))), maxTitle), Excerpt: excerpt(text, keywords), Source: s.name,
		URL: s.link(d.url), Score: share(title+" "+text, keywords),
	}
}

// share is how many of the keywords are in a text, 0 to 1.
func share(text string, keywords []string) float64 {
	text = strings.ToLower(text)
	found := 0
	for _, k := range keywords {
		if strings.Contains(text, strings.ToLower(k)) {
			found++
		}
	}
	return float64(found) / float64(max(1, len(keywords)))
}
