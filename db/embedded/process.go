package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// How long a server gets for each way of stopping before the next harder one.
const stopGrace = 10 * time.Second

// pollEvery is the interval at which files and processes that cannot notify are looked at.
const pollEvery = 10 * time.Millisecond

// watchdogScript ends the server when its owner is gone. It reads the server's
// id, then waits for a second line; end of file instead means that the owner
// died, since the owner alone holds the other end of the pipe. Its parameter
// is the number of fifths of a second after which it insists.
const watchdogScript = `
trap '' HUP INT TERM
read -r pid || exit 0
read -r farewell && exit 0
kill -INT "$pid" 2>/dev/null || exit 0
n=0
while [ "$n" -lt "$1" ]; do
	kill -0 "$pid" 2>/dev/null || exit 0
	sleep 0.2 2>/dev/null || sleep 1
	n=$((n+1))
done
kill -QUIT "$pid" 2>/dev/null
`

// watchdog is the process that outlives this one for as long as it takes to stop the server.
type watchdog struct {
	cmd  *exec.Cmd
	pipe io.WriteCloser
}

func startWatchdog(a account, grace time.Duration) (*watchdog, error) {
	cmd := a.command(context.Background(), "/bin/sh", "-c", watchdogScript, "watchdog", strconv.Itoa(int(grace/(time.Second/5))))
	cmd.SysProcAttr.Setpgid = true
	pipe, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("start watchdog: %w", err)
	}
	return &watchdog{cmd: cmd, pipe: pipe}, nil
}

func (w *watchdog) watch(pid int) error {
	_, err := fmt.Fprintln(w.pipe, pid)
	return err
}

// dismiss is called once the server has ended.
func (w *watchdog) dismiss() {
	_, _ = fmt.Fprintln(w.pipe, "done")
	_ = w.pipe.Close()
	_ = w.cmd.Wait()
}

// postmaster is the running server process.
type postmaster struct {
	*os.Process
	done  chan struct{} // closed once the process has ended and been reaped
	err   error         // why it ended; read after done
	guard *watchdog
	data  string
}

// startPostmaster starts the server in a process group of its own, so that a
// Ctrl-C reaches only this process, which then stops the server in order.
func startPostmaster(a account, b binaries, data string, log *os.File, settings []string) (*postmaster, error) {
	guard, err := startWatchdog(a, stopGrace)
	if err != nil {
		return nil, err
	}
	args := []string{"-D", data}
	for _, s := range settings {
		args = append(args, "-c", s)
	}
	cmd := a.command(context.Background(), b.program("postgres"), args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr.Setpgid = true
	dieWithParent(cmd.SysProcAttr, syscall.SIGINT)
	p := &postmaster{done: make(chan struct{}), guard: guard, data: data}
	started := make(chan error)
	go func() {
		// Linux sends the parent-death signal when the thread that forked ends, not the process: this thread stays until
		// the server has ended.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		p.err = cmd.Wait()
		guard.dismiss() // at once: the number may soon be another process's
		close(p.done)
	}()
	if err := <-started; err != nil {
		guard.dismiss()
		return nil, fmt.Errorf("start postgres as user %s: %w", a.name, err)
	}
	p.Process = cmd.Process
	if err := guard.watch(p.Pid); err != nil {
		p.stop(context.Background())
		return nil, fmt.Errorf("tell watchdog: %w", err)
	}
	return p, nil
}

// ready waits until the server accepts connections. Its own pid file tells,
// not a connection: another server may have taken the port first.
func (p *postmaster) ready(ctx context.Context) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		f, err := readPIDFile(p.data)
		if err == nil && f.pid == p.Pid && f.status == "ready" {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("postgres ended while starting: %w", errors.Join(errEnded, p.err))
		case <-ctx.Done():
			return fmt.Errorf("wait for postgres: %w", ctx.Err())
		case <-tick.C:
		}
	}
}

var errEnded = errors.New("server process has ended")

// stop asks first and insists later. When ctx ends, it insists at once; it
// returns only after the process has ended.
func (p *postmaster) stop(ctx context.Context) {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGQUIT, syscall.SIGKILL} {
		_ = p.Signal(sig) // fails when it has ended already
		grace := time.NewTimer(stopGrace)
		select {
		case <-p.done:
		case <-grace.C:
		case <-ctx.Done():
			// Whoever has no time left still gets an orderly end where that is quick.
			select {
			case <-p.done:
			case <-time.After(time.Second):
			}
		}
		grace.Stop()
		select {
		case <-p.done:
			return
		default:
		}
	}
	<-p.done
}

// pidFile is what Postgres writes into postmaster.pid: one value a line.
type pidFile struct {
	pid    int
	port   int
	status string // "ready" once it accepts connections
}

func readPIDFile(data string) (pidFile, error) {
	content, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
	if err != nil {
		return pidFile{}, err
	}
	lines := strings.Split(string(content), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(lines[0]))
	if err != nil {
		return pidFile{}, fmt.Errorf("read postmaster.pid: %w", err)
	}
	f := pidFile{pid: pid}
	if len(lines) > 3 {
		f.port, _ = strconv.Atoi(strings.TrimSpace(lines[3])) // 0 while the server is starting
	}
	if len(lines) > 7 {
		f.status = strings.TrimSpace(lines[7])
	}
	return f, nil
}

// clearPredecessor stops a server that a dead owner left behind. The caller
// holds the folder's lock, so whatever runs here has no living owner.
func clearPredecessor(ctx context.Context, data string) error {
	f, err := readPIDFile(data)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil || !runs(f.pid) {
		return nil //nolint:nilerr // Postgres itself cleans up after a server that is gone
	}
	if !isPostmaster(f.pid, data) {
		// After a restart of the machine or the container another process has the number, and Postgres would refuse to start.
		if err := os.Remove(filepath.Join(data, "postmaster.pid")); err != nil {
			return fmt.Errorf("remove stale postmaster.pid: %w", err)
		}
		return nil
	}
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGQUIT, syscall.SIGKILL} {
		_ = syscall.Kill(f.pid, sig)
		if ended, err := waitGone(ctx, f.pid, data); err != nil || ended {
			return err
		}
	}
	return fmt.Errorf("the server that a dead process left in %s does not stop: end process %d by hand", data, f.pid)
}

func waitGone(ctx context.Context, pid int, data string) (bool, error) {
	grace := time.NewTimer(stopGrace)
	defer grace.Stop()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		if !runs(pid) || !isPostmaster(pid, data) {
			return true, nil
		}
		select {
		case <-ctx.Done():
			return false, fmt.Errorf("wait for the previous server to stop: %w", ctx.Err())
		case <-grace.C:
			return false, nil
		case <-tick.C:
		}
	}
}

// runs reports whether the process exists, whoever owns it.
func runs(pid int) bool {
	return pid > 0 && !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
}
