package embedded

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// InUseError says that another process runs a server on the data folder.
type InUseError struct {
	DataDir string
	PID     int // 0 when the holder has not written it yet
}

func (e *InUseError) Error() string {
	holder := "another process"
	if e.PID > 0 {
		holder = fmt.Sprintf("process %d", e.PID)
	}
	return fmt.Sprintf("the embedded Postgres in %s is already run by %s: "+
		"stop that process, or choose another folder with AI_AGENTS_DATA_DIR, or use a Postgres server of your own with AI_AGENTS_DATABASE_URL",
		e.DataDir, holder)
}

// lockFile takes an exclusive lock that the kernel drops when this process
// ends, so a lock is never stale. Closing the returned file releases it. The
// file stays: removing it would let two processes lock two different files.
func lockFile(path string, wait bool) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	how := syscall.LOCK_EX
	if !wait {
		how |= syscall.LOCK_NB
	}
	for err = syscall.EINTR; errors.Is(err, syscall.EINTR); {
		err = syscall.Flock(int(f.Fd()), how)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// lockDataDir makes this process the folder's only owner.
func lockDataDir(dir string) (*os.File, error) {
	path := filepath.Join(dir, "lock")
	f, err := lockFile(path, false)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		content, _ := os.ReadFile(path)
		pid, _ := strconv.Atoi(strings.TrimSpace(string(content)))
		return nil, &InUseError{DataDir: dir, PID: pid}
	}
	if err != nil {
		return nil, fmt.Errorf("lock data folder %s: %w", dir, err)
	}
	if err = f.Truncate(0); err == nil {
		_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("write lock of data folder %s: %w", dir, err)
	}
	return f, nil
}
