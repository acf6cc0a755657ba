package app

import (
	"context"
	"runtime/debug"
	"testing"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"

	"aiagents/app/housekeeping"
)

// Not parallel: the collector's settings are the whole process's, and stay.
func TestOnlyATicketMakesAWorkerSpendMemory(t *testing.T) { //nolint:paralleltest // see above
	limit := func() int64 { return debug.SetMemoryLimit(-1) }
	before := limit()
	middleware := memoryForTickets().(rivertype.WorkerMiddleware)
	worked := 0
	work := func(queue string) {
		require.NoError(t, middleware.Work(context.Background(), &rivertype.JobRow{Queue: queue}, func(context.Context) error {
			worked++
			return nil
		}))
	}
	work(housekeeping.Queue)
	require.Equal(t, before, limit())
	work(river.QueueDefault)
	require.Equal(t, int64(busyMemory), limit())
	require.Equal(t, 2, worked)
}
