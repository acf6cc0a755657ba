package tests

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files anew")

// The golden files show in a review what a change of the chart does to an installation.
func TestGolden(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"minimal", "local", "staging", "production"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files, err := manifests(t, matrix(t)[name]...)
			require.NoError(t, err)
			var got strings.Builder
			for _, file := range sorted(files) {
				if text := strings.TrimSpace(files[file]); text != "" {
					got.WriteString("# " + strings.TrimPrefix(file, "aiagents/") + "\n" + text + "\n")
				}
			}
			golden := filepath.Join("testdata", name+".golden.yaml")
			if *update {
				require.NoError(t, os.MkdirAll("testdata", 0o755))
				require.NoError(t, os.WriteFile(golden, []byte(got.String()), 0o644))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			require.Equal(t, string(want), got.String(), "if this is meant: go test . -run TestGolden -update")
		})
	}
}
