package fault

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestKindSurvivesWrapping(t *testing.T) {
	t.Parallel()
	err := fmt.Errorf("read ticket: %w", New(NotFound, "no such ticket").WithRetryAfter(time.Second))

	require.Equal(t, NotFound, KindOf(err))
	require.True(t, Is(err, NotFound))
	require.False(t, Is(err, Invalid))
	require.Equal(t, time.Second, RetryAfterOf(err))
}

func TestAnUnclassifiedErrorIsInternalAndNeverMatchesByAccident(t *testing.T) {
	t.Parallel()
	err := errors.New("boom")

	require.Equal(t, Internal, KindOf(err))
	require.False(t, Is(err, Internal), "Is asks for a fault, not for the absence of one")
	require.Zero(t, RetryAfterOf(err))
}

func TestTheCauseIsForTheLogOnly(t *testing.T) {
	t.Parallel()
	cause := errors.New("dial tcp: refused")
	err := Wrap(Unavailable, cause, "the service desk cannot be reached")

	require.ErrorIs(t, err, cause)
	require.Equal(t, "the service desk cannot be reached", err.Message)
	require.Contains(t, err.Error(), "refused")
}

func TestEveryKindHasItsOwnName(t *testing.T) {
	t.Parallel()
	seen := map[string]Kind{}
	for k := Internal; k <= Unavailable; k++ {
		previous, dup := seen[k.String()]
		require.False(t, dup, "%d and %d share a name", previous, k)
		seen[k.String()] = k
	}
}
