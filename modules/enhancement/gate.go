package enhancement

import (
	"context"
	"runtime"
	"sync"
	"time"
)

// lingers is how long after another tenant's run a flood still makes room: the next one is probably on its way.
const lingers = time.Second

// gate lets the runs of a flood search one by one, and with a pause as long as the search, while a tenant without a backlog has
// runs in this process. Priorities already hand a free worker to that tenant first; what it would wait for then is the processor
// and the database, which the searches of a flood keep busy. A flood that is alone is not held up.
type gate struct {
	clock func() time.Time
	slots chan struct{}

	mu     sync.Mutex
	others int       // runs of tenants without a backlog
	last   time.Time // when the last of them ended
}

func newGate(clock func() time.Time) *gate {
	return &gate{clock: clock, slots: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2))}
}

// attend counts a run of a tenant without a backlog until the returned function is called.
func (g *gate) attend() (leave func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.others++
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.others--
		g.last = g.clock()
	}
}

func (g *gate) attended() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.others > 0 || g.clock().Sub(g.last) < lingers
}

// pass runs the search of a flood when it is its turn.
func (g *gate) pass(ctx context.Context, search func()) error {
	if !g.attended() {
		search()
		return nil
	}
	select {
	case g.slots <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-g.slots }()
	start := time.Now()
	search()
	if g.attended() {
		pause := time.NewTimer(time.Since(start))
		defer pause.Stop()
		select {
		case <-pause.C:
		case <-ctx.Done(): // what was found is kept all the same
		}
	}
	return nil
}
