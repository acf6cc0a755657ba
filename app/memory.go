package app

import (
	"context"
	"math"
	"runtime/debug"
	"sync"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
)

const (
	// busyGCPercent lets the heap of a worker grow to five times what is in use before it is collected: a ticket leaves some
	// megabytes behind that are garbage as soon as it is done, and at Go's usual 100 a fifth of the CPU goes into finding that out.
	busyGCPercent = 400
	// busyMemory is where that ends: near it the heap is collected as often as it takes. With the pages of the binary a worker
	// stays below 256 MiB.
	busyMemory = 192 << 20
)

// usualGCPercent is Go's own, where GOGC says nothing.
const usualGCPercent = 100

// spendMemory is called with the first ticket, so that a worker that waits for one stays small. What the operator set with GOGC
// or GOMEMLIMIT holds.
var spendMemory = sync.OnceFunc(func() {
	if before := debug.SetGCPercent(busyGCPercent); before != usualGCPercent {
		debug.SetGCPercent(before)
	}
	if debug.SetMemoryLimit(-1) == math.MaxInt64 {
		debug.SetMemoryLimit(busyMemory)
	}
})

// memoryForTickets gives a worker the memory to work fast. Housekeeping goes without.
func memoryForTickets() rivertype.Middleware {
	return river.WorkerMiddlewareFunc(func(ctx context.Context, job *rivertype.JobRow, work func(context.Context) error) error {
		if job.Queue == river.QueueDefault {
			spendMemory()
		}
		return work(ctx)
	})
}
