package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"aiagents/internal/harness"
)

// child is a process that this one started and ends.
type child struct {
	name  string
	cmd   *exec.Cmd
	stdin io.WriteCloser
	ended chan error
	final usage // filled by stop
}

// launch starts a process that dies with this one. Its output goes to a log in dir; first, if given, gets standard output.
func launch(dir, name, binary string, args, env []string, first any) (*child, error) {
	log, err := os.OpenFile(filepath.Join(dir, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	defer log.Close()
	c := &child{name: name, cmd: exec.Command(binary, args...), ended: make(chan error, 1)}
	c.cmd.Dir, c.cmd.Env = dir, env
	c.cmd.Stdout, c.cmd.Stderr = log, log
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	var stdout io.ReadCloser
	if first != nil {
		c.cmd.Stdout = nil
		if stdout, err = c.cmd.StdoutPipe(); err != nil {
			return nil, fmt.Errorf("start %s: %w", name, err)
		}
	}
	started := make(chan error)
	go func() {
		// Pdeathsig counts from the death of the thread that started the process, so this one is kept.
		runtime.LockOSThread()
		err := c.cmd.Start()
		started <- err
		if err == nil {
			if first != nil {
				started <- json.NewDecoder(bufio.NewReader(stdout)).Decode(first)
			}
			c.ended <- c.cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	if first != nil {
		if err := <-started; err != nil {
			return nil, fmt.Errorf("read first line of %s: %w", name, err)
		}
	}
	return c, nil
}

// stop asks the process to end and waits for it. What does not end in order is an error.
func (c *child) stop() error {
	if c == nil || c.cmd.ProcessState != nil {
		return nil
	}
	c.final = usageOf(c.cmd.Process.Pid)
	_ = c.stdin.Close()
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-c.ended:
		if err != nil {
			return fmt.Errorf("%s did not stop in order: %w", c.name, err)
		}
		return nil
	case <-time.After(90 * time.Second):
		_ = c.cmd.Process.Kill()
		<-c.ended
		return fmt.Errorf("%s did not stop within 90 s", c.name)
	}
}

// product is one running role.
type product struct {
	*child
	role    string
	addr    string // webhooks; serve and all only
	ops     string
	toReady time.Duration
}

// startRole starts a role against a database and waits until it is ready.
func (s *stage) startRole(ctx context.Context, b *build, role, database string, env ...string) (*product, error) {
	p := &product{role: role}
	var err error
	if p.addr, err = harness.FreeAddr(); err != nil {
		return nil, err
	}
	if p.ops, err = harness.FreeAddr(); err != nil {
		return nil, err
	}
	s.started++
	begin := time.Now()
	all := append(s.environment(database), "AI_AGENTS_HTTP_ADDR="+p.addr, "AI_AGENTS_OPS_ADDR="+p.ops)
	all = append(all, "BENCH_PROFILES="+s.profiles(s.playing))
	p.child, err = launch(s.dir, role+"-"+strconv.Itoa(s.started), b.binary, []string{role}, append(all, env...), nil)
	if err != nil {
		return nil, err
	}
	s.running = append(s.running, p)
	client := http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	deadline := time.Now().Add(time.Minute)
	for time.Now().Before(deadline) && ctx.Err() == nil {
		resp, err := client.Get("http://" + p.ops + "/health/ready")
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				p.toReady = time.Since(begin)
				return p, nil
			}
		}
		select {
		case err := <-p.ended:
			return nil, fmt.Errorf("%s ended at its start: %w: %s", p.name, err, tailOf(filepath.Join(s.dir, p.name+".log")))
		default:
		}
		harness.Pause(ctx, 2*time.Millisecond)
	}
	return nil, fmt.Errorf("%s did not become ready: %s", p.name, tailOf(filepath.Join(s.dir, p.name+".log")))
}

func tailOf(path string) string {
	content, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return string(content[max(0, len(content)-2000):])
}
