package app

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"aiagents/app/housekeeping"
	"aiagents/db/dbtest"
)

// An autoscaler that does not see a queue lets it grow. Housekeeping is left out: more workers would not make it faster.
func TestTheScalerCountsEveryQueueOfNotes(t *testing.T) {
	t.Parallel()
	d := dbtest.NewUnopened(t)
	conn, err := pgx.Connect(t.Context(), d.OwnerURL)
	require.NoError(t, err)
	defer conn.Close(t.Context())
	notes := 0
	for queue := range workerQueues(defaultConfig()) {
		_, err := conn.Exec(t.Context(), `INSERT INTO river_job (kind, args, max_attempts, state, queue, scheduled_at)
			VALUES ('enhance_ticket', '{}', 10, 'available', $1, now() - interval '1 minute')`, queue)
		require.NoError(t, err)
		if queue != housekeeping.Queue {
			notes++
		}
		var depth int
		require.NoError(t, conn.QueryRow(t.Context(), `SELECT scaler_queue_depth()`).Scan(&depth))
		require.Equal(t, notes, depth, "%s: replace the scaler's functions in a new migration", queue)
	}
	require.Positive(t, notes)
}
