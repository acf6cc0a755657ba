package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"aiagents/internal/harness"
)

// smallDiskVariable names the small disk on which a harness that was started again by itself puts Postgres.
const smallDiskVariable = "CHAOS_SMALL_DISK"

const smallDiskScript = `mount -t tmpfs -o size=700m,mode=755 tmpfs "$1" && shift && exec "$@"`

// playOnSmallDisk starts this program again in a mount namespace of its own, where Postgres lives on a disk that can be
// filled without harm to anybody else. Without the right to do so the scenario is reported as not run.
func playOnSmallDisk(ctx context.Context, o options, out io.Writer) ([]result, error) {
	if err := exec.CommandContext(ctx, "unshare", "-m", "true").Run(); err != nil {
		fmt.Fprintln(out, "disk_full is not run: it needs the right to make a mount namespace (root, unshare)")
		return []result{{scenario: scenario{name: "disk_full"}, skipped: "no right to make a mount namespace"}}, nil
	}
	dir, err := os.MkdirTemp("", "aiagents-chaos-disk-")
	if err != nil {
		return nil, fmt.Errorf("make folder: %w", err)
	}
	defer os.Remove(dir)
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, fmt.Errorf("open folder: %w", err)
	}
	args := append([]string{"-m", "--propagation", "private", "sh", "-c", smallDiskScript, "sh", dir, self}, os.Args[1:]...)
	cmd := exec.CommandContext(ctx, "unshare", args...)
	cmd.Env = append(os.Environ(), smallDiskVariable+"="+dir, fmt.Sprintf("CHAOS_SEED=%d", o.seed))
	cmd.Stdout, cmd.Stderr = out, out
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 1 {
		return []result{{findings: findings{broken: []string{"see above"}}}}, nil
	}
	return nil, err
}

// diskFull fills the disk under load and gives the space back after a while.
func diskFull(ctx context.Context, r *rig) (map[string]string, error) {
	dir := os.Getenv(smallDiskVariable)
	ballast := filepath.Join(dir, "ballast")
	fill := func(ctx context.Context, r *rig, _ *rand.Rand) error {
		harness.Pause(ctx, 3*time.Second)
		from := time.Now()
		if err := fillDisk(ballast); err != nil {
			return err
		}
		r.timeline.count("disk filled")
		harness.Pause(ctx, 8*time.Second)
		err := os.Remove(ballast)
		// Postgres may have gone down for lack of space; whoever runs it starts it again.
		if perr := r.pg.crash(ctx, 0); perr != nil {
			err = errors.Join(err, perr)
		}
		r.timeline.add(window{kind: windowPostgres, from: from, to: time.Now().Add(2 * time.Second)})
		return err
	}
	var out result
	err := r.loadUnderFaults(ctx, scenario{name: "disk_full", faults: only(fill)}, &out)
	return nil, err
}

// fillDisk writes until nothing fits any more.
func fillDisk(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("fill disk: %w", err)
	}
	defer f.Close()
	for block := make([]byte, 1<<20); len(block) > 0; {
		if _, err := f.Write(block); errors.Is(err, syscall.ENOSPC) {
			block = block[:len(block)/2]
		} else if err != nil {
			return fmt.Errorf("fill disk: %w", err)
		}
	}
	return nil
}
