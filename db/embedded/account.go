package embedded

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// account is the user that the server's processes run as. Postgres refuses to
// run as root, so root steps down to an unprivileged user.
type account struct {
	name     string
	uid, gid uint32
	drop     bool // this process is root and has to change user for its children
}

// serverAccount prefers the user that a Postgres package brings along.
func serverAccount() account {
	if uid := os.Geteuid(); uid != 0 {
		return account{name: strconv.Itoa(uid), uid: uint32(uid), gid: uint32(os.Getegid())}
	}
	for _, name := range []string{"postgres", "nobody"} {
		if a, err := lookupAccount(name); err == nil {
			return a
		}
	}
	// A minimal container image may have no user list. The number is nobody's by custom; initdb says if it misses a name.
	return account{name: "65534", uid: 65534, gid: 65534, drop: true}
}

func lookupAccount(name string) (account, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return account{}, err
	}
	// macOS writes nobody's id as -2.
	uid, err := strconv.ParseInt(u.Uid, 10, 64)
	if err != nil || uint32(uid) == 0 {
		return account{}, fmt.Errorf("user %s has id %s", name, u.Uid)
	}
	gid, err := strconv.ParseInt(u.Gid, 10, 64)
	if err != nil {
		return account{}, fmt.Errorf("user %s has group %s", name, u.Gid)
	}
	return account{name: name, uid: uint32(uid), gid: uint32(gid), drop: true}, nil
}

// command prepares a server program. It gets an environment of its own: PG*
// variables of the caller would redirect it, and on macOS Postgres does not
// start in a locale that makes it multithreaded.
func (a account) command(ctx context.Context, path string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir = "/"
	cmd.Env = []string{"LC_ALL=C", "PATH=" + os.Getenv("PATH")}
	for _, key := range []string{"LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"} {
		if v, ok := os.LookupEnv(key); ok {
			cmd.Env = append(cmd.Env, key+"="+v)
		}
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	if a.drop {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: a.uid, Gid: a.gid}
	}
	return cmd
}

// own gives the account everything below dir, unless it has it already. The
// account changes when a Postgres package is installed or removed, or when a
// folder was copied.
func (a account) own(dir string) error {
	if !a.drop {
		return nil
	}
	return filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Uid == a.uid && st.Gid == a.gid {
			return nil
		}
		return os.Lchown(path, int(a.uid), int(a.gid))
	})
}

// closedFolder returns the first folder on the way to path that the account
// may not pass, or "". Access lists are not looked at: where they matter,
// Postgres itself reports what it cannot open.
func (a account) closedFolder(path string) string {
	at := "/"
	for _, part := range append([]string{""}, strings.Split(strings.Trim(path, "/"), "/")...) {
		at = filepath.Join(at, part)
		info, err := os.Stat(at)
		if err != nil {
			return at
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		if !ok {
			continue
		}
		need := fs.FileMode(0o001)
		if st.Uid == a.uid {
			need = 0o100
		} else if st.Gid == a.gid {
			need = 0o010
		}
		if info.Mode().Perm()&need == 0 {
			return at
		}
	}
	return ""
}
