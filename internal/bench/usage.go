package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// usage is what a process, or a group of them, has used.
type usage struct {
	CPU     time.Duration `json:"cpu"`
	RSS     int64         `json:"rss_bytes"`
	PeakRSS int64         `json:"peak_rss_bytes"`
}

// clockTick is the unit of /proc/PID/stat; Linux fixes it at 100 a second for programs.
const clockTick = 10 * time.Millisecond

// usageOf reads a process; one that is gone has used nothing that can be read.
func usageOf(pid int) usage {
	u := usage{CPU: cpuOf(pid, false)}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return u
	}
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		kib, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		switch name {
		case "VmRSS":
			u.RSS = kib << 10
		case "VmHWM":
			u.PeakRSS = kib << 10
		}
	}
	return u
}

// cpuOf is user and system time, with that of children that were waited for if withChildren is set.
func cpuOf(pid int, withChildren bool) time.Duration {
	fields := statOf(pid)
	if len(fields) < 15 {
		return 0
	}
	last := 13 // utime and stime, then those of the dead children
	if withChildren {
		last = 15
	}
	var ticks int64
	for _, f := range fields[11:last] {
		n, _ := strconv.ParseInt(f, 10, 64)
		ticks += n
	}
	return time.Duration(ticks) * clockTick
}

// statOf are the fields of /proc/PID/stat behind the name, which may contain spaces.
func statOf(pid int) []string {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil
	}
	_, rest, _ := strings.Cut(string(content), ") ")
	return strings.Fields(rest)
}

// treeUsage is a server with all its processes, those that have ended included. Shared memory is counted once, by the
// largest process; the private parts of the others are left out, so RSS is a lower bound.
func treeUsage(root int) usage {
	u := usage{CPU: cpuOf(root, true)}
	entries, _ := filepath.Glob("/proc/[0-9]*")
	for _, e := range entries {
		pid, err := strconv.Atoi(filepath.Base(e))
		if err != nil {
			continue
		}
		if f := statOf(pid); len(f) > 1 && f[1] == strconv.Itoa(root) {
			c := usageOf(pid)
			u.CPU += c.CPU
			u.RSS, u.PeakRSS = max(u.RSS, c.RSS), max(u.PeakRSS, c.PeakRSS)
		}
	}
	return u
}

// ownUsage is this process: the load generator.
func ownUsage() usage {
	var r syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &r) != nil {
		return usage{}
	}
	return usage{CPU: time.Duration(r.Utime.Nano() + r.Stime.Nano()), PeakRSS: r.Maxrss << 10}
}
