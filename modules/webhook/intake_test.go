package webhook

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"aiagents/internal/fault"
)

// ledger stands in for the database: it takes a second to commit, and remembers what came together.
type ledger struct {
	refuse func(batch []Delivery) error

	mu      sync.Mutex
	batches [][]string
}

func (l *ledger) record(ctx context.Context, deliveries []Delivery) ([]Receipt, error) {
	select {
	case <-time.After(time.Second):
	case <-ctx.Done():
		return nil, fault.Wrap(fault.Unavailable, ctx.Err(), "too slow")
	}
	if l.refuse != nil {
		if err := l.refuse(deliveries); err != nil {
			return nil, err
		}
	}
	var ids []string
	receipts := make([]Receipt, len(deliveries))
	for i, d := range deliveries {
		ids = append(ids, d.TenantID+"/"+d.TicketID)
		receipts[i] = receiptOf(d)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.batches = append(l.batches, ids)
	return receipts, nil
}

func receiptOf(d Delivery) Receipt {
	return Receipt{ID: uuid.NewSHA1(uuid.Nil, []byte(d.TenantID+d.TicketID))}
}

func newIntake(l *ledger) *intake { return &intake{record: l.record, lanes: map[string]*lane{}} }

func delivery(tenantID string, n int) Delivery {
	return Delivery{TenantID: tenantID, TicketID: fmt.Sprint(n)}
}

func TestDeliveriesThatComeMeanwhileShareTheNextTransaction(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &ledger{}
		i := newIntake(l)
		var all sync.WaitGroup
		for n := range 150 {
			all.Go(func() {
				time.Sleep(time.Duration(n) * time.Millisecond)
				r, err := i.add(t.Context(), delivery("acme", n))
				if err != nil || r != receiptOf(delivery("acme", n)) {
					t.Errorf("delivery %d got %v, %v", n, r, err)
				}
			})
		}
		all.Go(func() {
			time.Sleep(10 * time.Millisecond)
			start := time.Now()
			_, err := i.add(t.Context(), delivery("bolt", 1))
			if err != nil || time.Since(start) != time.Second {
				t.Errorf("another tenant waited %s, %v", time.Since(start), err)
			}
		})
		all.Wait()
		synctest.Wait()
		sizes := []int{}
		for _, b := range l.batches {
			sizes = append(sizes, len(b))
		}
		require.Equal(t, []int{1, 1, mostTogether, 49}, sizes, "the first of each tenant alone, then what had come meanwhile")
		require.Equal(t, []string{"bolt/1"}, l.batches[1])
		require.Empty(t, i.lanes, "a lane ends with its work")
	})
}

func TestADeliveryThatCannotBeRecordedTakesNoOtherWithIt(t *testing.T) {
	t.Parallel()
	poison := errors.New("poison")
	for name, refusal := range map[string]func(batch []Delivery) error{
		"error": func([]Delivery) error { return poison },
		"panic": func([]Delivery) error { panic("ticket text") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := &ledger{refuse: func(batch []Delivery) error {
					if slices.ContainsFunc(batch, func(d Delivery) bool { return d.TicketID == "3" }) {
						return refusal(batch)
					}
					return nil
				}}
				i := newIntake(l)
				errs := make([]error, 5)
				var all sync.WaitGroup
				for n := range errs {
					all.Go(func() {
						time.Sleep(time.Duration(n) * time.Millisecond)
						_, errs[n] = i.add(t.Context(), delivery("acme", n))
					})
				}
				all.Wait()
				for n, err := range errs {
					require.Equal(t, n == 3, err != nil, "delivery %d: %v", n, err)
				}
				require.NotContains(t, errs[3].Error(), "ticket text")
			})
		})
	}
}

func TestAnOutageConcernsTheWholeBatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		l := &ledger{refuse: func([]Delivery) error { tries++; return fault.New(fault.Unavailable, "away") }}
		i := newIntake(l)
		var all sync.WaitGroup
		for n := range 20 {
			all.Go(func() {
				time.Sleep(time.Duration(n) * time.Millisecond)
				if _, err := i.add(t.Context(), delivery("acme", n)); !fault.Is(err, fault.Unavailable) {
					t.Errorf("delivery %d: %v", n, err)
				}
			})
		}
		all.Wait()
		require.Equal(t, 2, tries, "no second try for each of them")
	})
}

func TestASenderThatLeavesInTimeTakesItsDeliveryAlong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &ledger{}
		i := newIntake(l)
		gone, leave := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer leave()
		var all sync.WaitGroup
		all.Go(func() {
			_, err := i.add(gone, delivery("acme", 0)) // under way when its sender leaves
			if err != nil {
				t.Errorf("what was begun is finished: %v", err)
			}
		})
		all.Go(func() {
			time.Sleep(10 * time.Millisecond)
			_, err := i.add(gone, delivery("acme", 1))
			if !fault.Is(err, fault.Unavailable) {
				t.Errorf("nothing was recorded, so the answer is 503: %v", err)
			}
		})
		all.Go(func() {
			time.Sleep(20 * time.Millisecond)
			_, err := i.add(t.Context(), delivery("acme", 2))
			if err != nil {
				t.Errorf("one who waits gets an answer: %v", err)
			}
		})
		all.Wait()
		require.Equal(t, [][]string{{"acme/0"}, {"acme/2"}}, l.batches)
	})
}
