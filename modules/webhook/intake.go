package webhook

import (
	"context"
	"sync"

	"aiagents/internal/fault"
)

// mostTogether bounds how many deliveries share a transaction: a hundred make the commit's share of each negligible.
const mostTogether = 100

// intake lets the deliveries of a tenant that arrive while its last transaction is under way go into the next one together. A
// delivery that comes alone is recorded at once, alone. So nobody waits for company, and under load the cost of a commit is
// shared by as many as came during the one before.
//
// Tenants do not share: row-level security holds for a transaction, and one tenant's trouble stays its own.
type intake struct {
	record func(ctx context.Context, deliveries []Delivery) ([]Receipt, error)

	mu    sync.Mutex
	lanes map[string]*lane // those with something under way
}

// lane is what waits for one tenant's transaction under way to end.
type lane struct{ waiting []*passenger }

// passenger is a delivery with its sender, who waits for the outcome.
type passenger struct {
	delivery Delivery
	done     chan struct{} // closed when receipt and err are set
	receipt  Receipt
	err      error
}

// add records a delivery. A sender who goes away before its delivery's turn takes it along, so nothing is recorded then.
func (i *intake) add(ctx context.Context, d Delivery) (Receipt, error) {
	p := &passenger{delivery: d, done: make(chan struct{})}
	i.board(ctx, p)
	select {
	case <-p.done:
		return p.receipt, p.err
	case <-ctx.Done():
	}
	if i.leave(p) {
		return Receipt{}, fault.Wrap(fault.Unavailable, ctx.Err(), "the delivery could not be recorded in time")
	}
	<-p.done // its transaction is under way and bounded in time
	return p.receipt, p.err
}

// board puts a delivery into its tenant's lane, and sets the lane going where it stands still.
func (i *intake) board(ctx context.Context, p *passenger) {
	i.mu.Lock()
	defer i.mu.Unlock()
	l, running := i.lanes[p.delivery.TenantID]
	if !running {
		l = &lane{}
		i.lanes[p.delivery.TenantID] = l
		// What is shared outlives the request that began it.
		go i.run(context.WithoutCancel(ctx), p.delivery.TenantID, l)
	}
	l.waiting = append(l.waiting, p)
}

func (i *intake) leave(p *passenger) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	l := i.lanes[p.delivery.TenantID]
	if l == nil {
		return false
	}
	for n, other := range l.waiting {
		if other == p {
			l.waiting = append(l.waiting[:n], l.waiting[n+1:]...)
			return true
		}
	}
	return false
}

// run records what waits, batch after batch, until nothing does.
func (i *intake) run(ctx context.Context, tenantID string, l *lane) {
	for {
		batch := i.next(tenantID, l)
		if len(batch) == 0 {
			return
		}
		i.carry(ctx, batch)
	}
}

func (i *intake) next(tenantID string, l *lane) []*passenger {
	i.mu.Lock()
	defer i.mu.Unlock()
	n := min(len(l.waiting), mostTogether)
	batch := l.waiting[:n:n]
	l.waiting = l.waiting[n:]
	if n == 0 {
		delete(i.lanes, tenantID)
	}
	return batch
}

// carry records a batch. One that fails for a reason of its own is taken apart, so that a delivery that cannot be recorded
// takes no other with it. An outage concerns all of them alike.
func (i *intake) carry(ctx context.Context, batch []*passenger) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	deliveries := make([]Delivery, len(batch))
	for n, p := range batch {
		deliveries[n] = p.delivery
	}
	receipts, err := i.try(ctx, deliveries)
	if err != nil && len(batch) > 1 && !fault.Is(err, fault.Unavailable) {
		for _, p := range batch {
			i.carry(ctx, []*passenger{p})
		}
		return
	}
	for n, p := range batch {
		if p.err = err; err == nil {
			p.receipt = receipts[n]
		}
		close(p.done)
	}
}

// try keeps a panic to the deliveries that it concerns: the lane runs outside of any request, where it would end the process.
func (i *intake) try(ctx context.Context, deliveries []Delivery) (receipts []Receipt, err error) {
	defer func() {
		if value := recover(); value != nil {
			err = fault.Newf(fault.Internal, "recording panicked with a %T", value) // the value may quote a ticket
		}
	}()
	receipts, err = i.record(ctx, deliveries)
	if err == nil && len(receipts) != len(deliveries) {
		err = fault.Newf(fault.Internal, "%d receipts for %d deliveries", len(receipts), len(deliveries))
	}
	return receipts, err
}
