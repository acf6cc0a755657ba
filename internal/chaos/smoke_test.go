package main

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestSmoke is a storm of every fault, small enough for CI: a few hundred webhooks, kills at every crash point and at
// random, a crash of Postgres, cut links, faults of the model and the desks, duplicates. CHAOS_SEED repeats a run.
func TestSmoke(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts a rig of processes")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	var out bytes.Buffer
	args := strings.Fields("-scenario storm -quick -webhooks 200 -rate 12 -worker-kills 4 -api-kills 2 -postgres-crashes 1 -link-resets 4 -point-kills 1")
	if binary := os.Getenv("CHAOS_BINARY"); binary != "" {
		args = append(args, "-binary", binary)
	}
	code := run(ctx, args, &out)
	t.Log(out.String())
	require.Zero(t, code, "the run's output above names the broken invariant")
}
