package docsearch

import (
	"slices"
	"sync"
	"time"

	"aiagents/modules/enhancement/evidence"
)

// maxCached bounds the memory: an entry is a few kilobytes.
const maxCached = 2000

type cacheKey struct {
	tenantID string
	provider string
	query    [32]byte
}

type cacheEntry struct {
	articles []evidence.Article
	expires  time.Time
}

type cache struct {
	clock   func() time.Time
	mu      sync.Mutex
	entries map[cacheKey]cacheEntry

	hits, misses uint64
}

func newCache(clock func() time.Time) *cache {
	return &cache{clock: clock, entries: map[cacheKey]cacheEntry{}}
}

func (c *cache) get(key cacheKey) ([]evidence.Article, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries[key]
	if !ok || !c.clock().Before(e.expires) {
		c.misses++
		return nil, false
	}
	c.hits++
	return slices.Clone(e.articles), true
}

func (c *cache) stats() (hits, misses uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.hits, c.misses
}

// put keeps a result. Where there is no room, what has expired goes, or else any one entry.
func (c *cache) put(key cacheKey, articles []evidence.Article) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.clock()
	if len(c.entries) >= maxCached {
		for k, e := range c.entries {
			if !now.Before(e.expires) {
				delete(c.entries, k)
			}
		}
	}
	for k := range c.entries {
		if len(c.entries) < maxCached {
			break
		}
		delete(c.entries, k)
	}
	c.entries[key] = cacheEntry{articles: slices.Clone(articles), expires: now.Add(CacheTime)}
}
