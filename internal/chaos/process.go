package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"aiagents/internal/harness"
)

// restartDelay is how long a dead process stays away: what an orchestrator needs at least.
const restartDelay = 500 * time.Millisecond

// slot is a place for one process of the product, which is started again whenever it ends.
type slot struct {
	rig     *rig
	name    string // serve-1, work-2
	role    string
	addr    string // webhooks; serve only
	opsAddr string

	mu       sync.Mutex
	cmd      *exec.Cmd
	number   int  // of the process in this slot
	asked    bool // we have signalled its end
	wasReady bool // it has been ready once, so it must not end by itself
	env      []string
	stopping bool
	ended    chan struct{} // closed when the slot is given up
}

func newSlot(r *rig, role string, n int) (*slot, error) {
	s := &slot{rig: r, name: fmt.Sprintf("%s-%d", role, n), role: role, ended: make(chan struct{})}
	var err error
	if s.opsAddr, err = harness.FreeAddr(); err == nil && role == "serve" {
		s.addr, err = harness.FreeAddr()
	}
	return s, err
}

// process names the running process at the model, where its calls carry the name in their path.
func (s *slot) process() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.processLocked()
}

func (s *slot) processLocked() string { return fmt.Sprintf("%s.%d", s.name, s.number) }

// supervise starts the process again and again until the slot is stopped.
func (s *slot) supervise(ctx context.Context) {
	defer close(s.ended)
	for ctx.Err() == nil {
		cmd, err := s.launch()
		if err != nil {
			s.rig.timeline.problem(fmt.Sprintf("%s cannot be started: %v", s.name, err))
			return
		}
		if cmd == nil {
			return
		}
		err = cmd.Wait()
		s.buried(cmd.Process.Pid, err)
		harness.Pause(ctx, restartDelay)
	}
}

func (s *slot) launch() (*exec.Cmd, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		return nil, nil
	}
	s.number++
	s.asked, s.wasReady = false, false
	log, err := os.OpenFile(filepath.Join(s.rig.dir, "logs", s.name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	defer log.Close()
	cmd := exec.Command(s.rig.binary, s.role)
	cmd.Dir = s.rig.dir
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(s.rig.processEnv(s.processLocked()), s.env...)
	cmd.Env = append(cmd.Env, "AI_AGENTS_OPS_ADDR="+s.opsAddr, "AI_AGENTS_HTTP_ADDR="+s.addr)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start: %w", err)
	}
	s.cmd = cmd
	go s.watchReady(s.number)
	return cmd, nil
}

// buried records how a process ended. A kill at a crash point looks like any other SIGKILL.
func (s *slot) buried(pid int, err error) {
	now := time.Now()
	s.mu.Lock()
	name, asked, wasReady := s.processLocked(), s.asked, s.wasReady
	s.cmd = nil
	s.mu.Unlock()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL {
		s.rig.timeline.add(window{kind: windowKill, process: name, from: now, to: now})
		s.rig.timeline.count(s.role + " killed")
		if s.role == "work" {
			s.rig.autopsies.Go(func() { s.rig.autopsy(pid, now) })
		}
		return
	}
	switch {
	case !asked && wasReady:
		s.rig.timeline.problem(fmt.Sprintf("%s ended by itself: %v", name, err))
	case asked && err != nil:
		s.rig.timeline.problem(fmt.Sprintf("%s did not stop in order: %v", name, err))
	}
}

// watchReady notes when the process has become ready for the first time.
func (s *slot) watchReady(number int) {
	client := http.Client{Timeout: time.Second}
	defer client.CloseIdleConnections()
	for {
		resp, err := client.Get("http://" + s.opsAddr + "/health/ready")
		ready := err == nil && resp.StatusCode == http.StatusOK
		if err == nil {
			resp.Body.Close()
		}
		s.mu.Lock()
		mine := s.number == number && s.cmd != nil
		if mine && ready {
			s.wasReady = true
		}
		s.mu.Unlock()
		if !mine || ready {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (s *slot) ready() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.wasReady && s.cmd != nil
}

// signal sends sig to the running process; it reports whether there was one.
func (s *slot) signal(sig syscall.Signal) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd == nil {
		return false
	}
	if sig == syscall.SIGTERM || sig == syscall.SIGKILL {
		s.asked = true
	}
	return s.cmd.Process.Signal(sig) == nil
}

// replace ends the process in order, waits for the next one to be ready, and gives it env from then on.
func (s *slot) replace(ctx context.Context, env []string) error {
	s.mu.Lock()
	s.env = env
	before := s.number
	s.mu.Unlock()
	s.signal(syscall.SIGTERM)
	return harness.WaitFor(ctx, time.Minute+30*time.Second, s.name+" restarted", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.number > before && s.wasReady
	})
}

// stop ends the slot for good.
func (s *slot) stop() {
	s.mu.Lock()
	s.stopping = true
	s.mu.Unlock()
	s.signal(syscall.SIGCONT)
	s.signal(syscall.SIGTERM)
	select {
	case <-s.ended:
	case <-time.After(60 * time.Second):
		s.signal(syscall.SIGKILL)
		<-s.ended
	}
}
