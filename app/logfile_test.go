package app

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The library that rotates keeps a goroutine for its process's life, so the real program is asked.
func TestTheLogRotatesIntoFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "aiagents.log")
	full := append(bytes.Repeat([]byte("x"), 1<<20), '\n') // what an earlier run has written: one megabyte and more
	require.NoError(t, os.WriteFile(file, full, 0o600))
	for _, old := range []string{"aiagents-2025-01-01T00-00-00.000.log", "aiagents-2025-01-02T00-00-00.000.log"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, old), nil, 0o600))
	}
	h := newHarness(t, withRole("work"))
	cmd := h.spawn("serve", "AI_AGENTS_LOG_FILE="+file, "AI_AGENTS_LOG_MAX_MEGABYTES=1", "AI_AGENTS_LOG_BACKUPS=2", "AI_AGENTS_LOG_MAX_AGE=0")
	require.Eventually(t, func() bool {
		raw, err := os.ReadFile(file)
		return err == nil && strings.Contains(string(raw), `"message":"started"`)
	}, patience, 20*time.Millisecond)
	require.Eventually(t, func() bool {
		names, err := filepath.Glob(filepath.Join(dir, "aiagents-*.log"))
		return err == nil && len(names) == 2 // the one from now, and the younger of the old ones
	}, patience, 20*time.Millisecond)
	require.NoFileExists(t, filepath.Join(dir, "aiagents-2025-01-01T00-00-00.000.log"))
	require.NoError(t, cmd.Process.Signal(interrupt))
	require.NoError(t, cmd.Wait())
	raw, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Contains(t, string(raw), `"message":"stopped"`)
	require.NotContains(t, string(raw), "xxx")
	require.Empty(t, cmd.Stderr.(*bytes.Buffer).String(), "standard error has nothing of it")
}

func TestALogFileThatCannotBeWrittenFailsTheStart(t *testing.T) {
	t.Parallel()
	_, _, err := openLog(LogConfig{File: filepath.Join(t.TempDir(), "file", "in", "the", "way")}, os.Stderr)
	require.NoError(t, err, "folders are made")
	blocked := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(blocked, nil, 0o600))
	_, _, err = openLog(LogConfig{File: filepath.Join(blocked, "aiagents.log")}, os.Stderr)
	require.ErrorContains(t, err, "log.file cannot be written")
}
