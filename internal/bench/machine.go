package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
)

// machine is what the figures depend on besides the code.
type machine struct {
	CPU      string            `json:"cpu"`
	Cores    int               `json:"cores"`
	MemoryMB int64             `json:"memory_mib"`
	Kernel   string            `json:"kernel"`
	Go       string            `json:"go"`
	Postgres string            `json:"postgres"`
	Settings map[string]string `json:"postgres_settings"`
}

// settingsShown are the server's parameters that matter for speed and durability.
var settingsShown = []string{"fsync", "synchronous_commit", "full_page_writes", "shared_buffers", "max_wal_size", "checkpoint_timeout", "max_connections", "wal_sync_method"}

func (s *stage) describeMachine(ctx context.Context) machine {
	m := machine{Cores: runtime.NumCPU(), Go: runtime.Version(), Postgres: s.pg.Version(), Settings: map[string]string{}}
	if content, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(content)) {
			if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "model name" {
				m.CPU = strings.TrimSpace(value)
				break
			}
		}
	}
	var info syscall.Sysinfo_t
	if syscall.Sysinfo(&info) == nil {
		m.MemoryMB = int64(info.Totalram) * int64(info.Unit) >> 20 //nolint:unconvert // differs by platform
	}
	if out, err := exec.CommandContext(ctx, "uname", "-sr").Output(); err == nil {
		m.Kernel = strings.TrimSpace(string(out))
	}
	for _, name := range settingsShown {
		var value string
		if s.admin.QueryRow(ctx, "SELECT current_setting($1)", name).Scan(&value) == nil {
			m.Settings[name] = value
		}
	}
	return m
}

// String is the machine on two lines.
func (m machine) String() string {
	var set []string
	for _, name := range settingsShown {
		set = append(set, name+"="+m.Settings[name])
	}
	return fmt.Sprintf("%d cores (%s), %d MiB, %s, %s; everything on one machine\nPostgres %s: %s",
		m.Cores, m.CPU, m.MemoryMB, m.Kernel, m.Go, m.Postgres, strings.Join(set, " "))
}
