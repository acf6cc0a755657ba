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

// TestMain lets the test binary be the simulators' process as well: the rig starts its own program again.
func TestMain(m *testing.M) {
	if len(os.Args) == 5 && os.Args[1] == "simulators" {
		os.Exit(simulate(os.Args[2:]))
	}
	os.Exit(m.Run())
}

// TestSmoke plays scenarios on the real rig, with phases too short for figures that mean anything: it proves that the tool
// works, and that what it accepted became exactly one note each.
func TestSmoke(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts a rig of processes")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	var out bytes.Buffer
	args := "-tenants 2 -history 50 -tickets 60 -duration 1s -connections 2 -concurrency 20 -seed 7 intake tickets"
	code := run(ctx, strings.Fields(args), &out)
	t.Log(out.String())
	require.Zero(t, code)
	for _, want := range []string{"seed 7", "of pgbench", "work peak RSS", "exactly one note"} {
		require.Contains(t, out.String(), want)
	}
}
