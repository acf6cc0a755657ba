package tenant

import (
	"sync"
	"time"
)

// cache keeps open tenants in memory. It holds tenants that exist only, so its size is bounded by their number and nobody
// can fill it with invented ids.
type cache struct {
	mu      sync.Mutex
	entries map[string]cached
	// generation grows with every drop. A load that began under an older one may have read what was just replaced, and is
	// not kept.
	generation uint64
	// deaf is set while a listener should hear of changes and does not; nothing is kept then.
	deaf bool
	ttl  time.Duration

	hits, misses uint64
}

type cached struct {
	tenant  Tenant
	expires time.Time
}

func newCache(ttl time.Duration) *cache {
	return &cache{entries: map[string]cached{}, ttl: ttl}
}

func (c *cache) get(id string, now time.Time) (Tenant, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries[id]
	if !ok || !now.Before(e.expires) {
		c.misses++
		return Tenant{}, false
	}
	c.hits++
	return e.tenant, true
}

// stats are the look-ups so far, by whether the tenant was there.
func (c *cache) stats() (hits, misses uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.hits, c.misses
}

// begin returns the generation to hand to put after loading.
func (c *cache) begin() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.generation
}

func (c *cache) put(t Tenant, generation uint64, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.deaf || generation != c.generation {
		return
	}
	c.entries[t.ID] = cached{tenant: t, expires: now.Add(c.ttl)}
}

func (c *cache) drop(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation++
	delete(c.entries, id)
}

// setDeaf empties the cache and says whether it may be used: what changed while nobody listened is unknown.
func (c *cache) setDeaf(deaf bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation++
	c.deaf = deaf
	clear(c.entries)
}
