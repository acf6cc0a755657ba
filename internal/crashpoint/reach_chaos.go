//go:build chaos

package crashpoint

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

var (
	dir         = os.Getenv("AI_AGENTS_CRASHPOINT_DIR")
	armed, left = fromEnvironment(os.Getenv("AI_AGENTS_CRASHPOINT"))
)

func fromEnvironment(text string) (string, *atomic.Int64) {
	name, count, _ := strings.Cut(text, ":")
	left := &atomic.Int64{}
	n, err := strconv.ParseInt(count, 10, 64)
	if err != nil || n < 1 {
		n = 1
	}
	left.Store(n)
	return name, left
}

// Reach kills this process when the point is armed.
func Reach(name string) {
	if name == armed && left.Add(-1) == 0 {
		die()
	}
	if dir == "" {
		return
	}
	file := filepath.Join(dir, name)
	// The rename decides between two processes at the same point: one file, one kill.
	if os.Rename(file, fmt.Sprintf("%s.reached-%d", file, os.Getpid())) == nil {
		die()
	}
}

func die() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // the signal may take a moment; nothing after the point may run
}
