package harness

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Root is the folder of the product's module.
func Root(ctx context.Context) (string, error) {
	dir, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "aiagents").Output()
	if err != nil {
		return "", fmt.Errorf("find the product's module: %w", err)
	}
	return strings.TrimSpace(string(dir)), nil
}

// Commit names the commit checked out in dir; "" in a source tree without history.
func Commit(ctx context.Context, dir string) string {
	cmd := exec.CommandContext(ctx, "git", "rev-parse", "--short", "HEAD")
	cmd.Dir = dir
	commit, err := cmd.Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(commit))
}

// Build compiles the main package in dir into a file; env is added to this process's environment.
func Build(ctx context.Context, dir, into string, env []string, flags ...string) error {
	args := append([]string{"build", "-o", into}, flags...)
	cmd := exec.CommandContext(ctx, "go", append(args, ".")...) //nolint:gosec // a developer's own build
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build: %w: %s", err, out)
	}
	return nil
}

// FreeAddr is a loopback address that nobody listens on. Somebody else may take it before the caller does.
func FreeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // binds at once
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// Pause waits, or less when ctx ends.
func Pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// WaitFor polls until done reports true; what is named in the error.
func WaitFor(ctx context.Context, limit time.Duration, what string, done func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for !done() {
		if ctx.Err() != nil {
			return fmt.Errorf("waited %s in vain: %s", limit, what)
		}
		Pause(ctx, 50*time.Millisecond)
	}
	return nil
}

// Word spells n in letters behind a prefix, so that nothing on a ticket's way takes it for an address, a number or a name.
func Word(prefix string, n, length int) string {
	letters := make([]byte, length)
	for i := length - 1; i >= 0; i-- {
		letters[i] = byte('a' + n%26)
		n /= 26
	}
	return prefix + string(letters)
}

// Sign is the value of X-ServiceDesk-Signature for a body.
func Sign(secret string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

// Program is the product's command line in one folder and environment.
type Program struct {
	Binary, Dir string
	Env         []string
}

// Run calls a command; the error carries what it printed.
func (p Program) Run(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, p.Binary, args...) //nolint:gosec // the binary under test
	cmd.Dir, cmd.Env = p.Dir, p.Env
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("aiagents %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

// Tenant is what the product must know of a customer with an on-premises desk.
type Tenant struct{ ID, Name, DeskURL, APIKey, Secret string }

// Onboard creates the tenant, with its secrets in files of the program's folder, and imports its past tickets, if any.
func (p Program) Onboard(ctx context.Context, t Tenant, past []byte) error {
	key, secret, file := filepath.Join(p.Dir, t.ID+".key"), filepath.Join(p.Dir, t.ID+".secret"), filepath.Join(p.Dir, t.ID+".csv")
	err := errors.Join(os.WriteFile(key, []byte(t.APIKey), 0o600), os.WriteFile(secret, []byte(t.Secret), 0o600),
		os.WriteFile(file, past, 0o600))
	if err != nil {
		return fmt.Errorf("write files of %s: %w", t.ID, err)
	}
	if err := p.Run(ctx, "tenant", "create", "--id", t.ID, "--name", t.Name, "--servicedesk-url", t.DeskURL,
		"--servicedesk-api-key-file", key, "--webhook-secret-file", secret); err != nil || past == nil {
		return err
	}
	return p.Run(ctx, "tickets", "import", file, "--tenant", t.ID)
}
