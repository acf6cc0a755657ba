package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const (
	skewScenario = "leader_clock_skew"
	skewVariable = "CHAOS_CLOCK_OFFSET_SECONDS"
)

// offsetSource reads the offset without any package that needs the time.
const offsetSource = `package time

import "syscall"

var chaosOffset = func() (n int64) {
	text, _ := syscall.Getenv("` + skewVariable + `")
	sign := int64(1)
	for i := range len(text) {
		if text[i] == '-' {
			sign = -1
		} else {
			n = n*10 + int64(text[i]-'0')
		}
	}
	return sign * n
}()
`

// movableClock makes an overlay for the compiler in which time.Now is off by what the environment says, as it is on a machine
// whose clock is wrong: a Go process asks the kernel past every library that could move its clock from outside. Timers and
// durations go by the monotonic clock and stay right, as they do on such a machine.
func movableClock(ctx context.Context, dir string) (string, error) {
	root, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return "", fmt.Errorf("find the Go tree: %w", err)
	}
	folder := filepath.Join(strings.TrimSpace(string(root)), "src", "time")
	source, err := os.ReadFile(filepath.Join(folder, "time.go"))
	if err != nil {
		return "", fmt.Errorf("read package time: %w", err)
	}
	const now = "func Now() Time {\n\tsec, nsec, mono := runtimeNow()\n"
	moved := strings.Replace(string(source), now, now+"\tsec += chaosOffset\n", 1)
	if moved == string(source) {
		return "", errors.New("this Go version's time.Now has another form: adapt movableClock")
	}
	files := map[string]string{"time.go": moved, "chaos_offset.go": offsetSource}
	replace := map[string]string{}
	for name, text := range files {
		replace[filepath.Join(folder, name)] = filepath.Join(dir, "overlay_"+name+".txt")
		if err := os.WriteFile(replace[filepath.Join(folder, name)], []byte(text), 0o600); err != nil {
			return "", fmt.Errorf("write overlay: %w", err)
		}
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", fmt.Errorf("encode overlay: %w", err)
	}
	file := filepath.Join(dir, "overlay.json")
	return file, os.WriteFile(file, overlay, 0o600)
}

// skewClocks gives every worker a clock that is ten minutes ahead or behind, so that whoever leads has a wrong one, and kills
// a worker now and then, so that the lead goes from one to the other.
func skewClocks(over time.Duration) fault {
	return func(ctx context.Context, r *rig, dice *rand.Rand) error {
		whole := context.WithoutCancel(ctx)
		for i, s := range r.work {
			offset := []string{"600", "-600"}[i%2]
			if err := s.replace(whole, []string{skewVariable + "=" + offset}); err != nil {
				return err
			}
			r.timeline.count("clock moved by " + offset + " s")
		}
		err := times(ctx, dice, len(r.work), over, func(n int) error { return kill(ctx, r.work[n%len(r.work)]) })
		for _, s := range r.work {
			err = errors.Join(err, s.replace(whole, nil))
		}
		return err
	}
}
