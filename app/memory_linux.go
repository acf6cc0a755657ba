package app

import (
	"bufio"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"syscall"
)

// forgetStart gives back what only the start needed: free heap, and the pages of the binary, which the system maps by the dozen
// around each one that is used. Those in use come back from the page cache.
func forgetStart() {
	debug.FreeOSMemory()
	own, err := os.Executable()
	if err != nil {
		return
	}
	maps, err := os.Open("/proc/self/smaps")
	if err != nil {
		return
	}
	defer func() { _ = maps.Close() }()
	var from, to uintptr
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		line := lines.Text()
		var low, high uintptr
		var rights string
		if n, _ := fmt.Sscanf(line, "%x-%x %s", &low, &high, &rights); n == 3 {
			from, to = 0, 0
			if strings.HasSuffix(line, own) && strings.HasPrefix(rights, "r") && !strings.Contains(rights, "w") {
				from, to = low, high
			}
			continue
		}
		// Pages that were written, as by a loader that relocates, exist nowhere else: a mapping with any is left alone.
		if kib := 0; from != 0 && strings.HasPrefix(line, "Anonymous:") {
			if n, _ := fmt.Sscanf(line, "Anonymous: %d kB", &kib); n == 1 && kib == 0 {
				_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, from, to-from, syscall.MADV_DONTNEED)
			}
		}
	}
}
