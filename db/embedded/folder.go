package embedded

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// DefaultDir is where this machine's user keeps data and fetched binaries when
// nothing else is chosen: the user's cache folder, and for root a folder that
// the unprivileged server user can reach, which root's home is not. Where
// neither can be written, it is a folder of this user among the temporary files.
func DefaultDir() (string, error) {
	var dir string
	if serverAccount().drop {
		dir = "/var/lib/aiagents"
	} else if cache, err := os.UserCacheDir(); err == nil {
		dir = filepath.Join(cache, "aiagents")
	}
	if dir != "" {
		if dir, err := firstUsable([]string{dir}); err == nil {
			return dir, nil
		}
	}
	return TempDir("aiagents")
}

// TempDir makes a folder of this user that a server can use, in the first of
// the given parents that allows it, else among the temporary files. The user's
// id is part of its name, so that users do not meet in one folder.
func TempDir(name string, parents ...string) (string, error) {
	var candidates []string
	for _, parent := range append(parents, os.TempDir(), "/tmp") {
		candidates = append(candidates, filepath.Join(parent, name+"-"+strconv.Itoa(os.Geteuid())))
	}
	return firstUsable(candidates)
}

func firstUsable(candidates []string) (string, error) {
	a := serverAccount()
	var faults []error
	for _, dir := range candidates {
		err := prepareFolder(dir, a)
		if err == nil {
			err = checkOwner(dir)
		}
		if err == nil {
			return dir, nil
		}
		faults = append(faults, err)
	}
	return "", fmt.Errorf("no folder for the embedded Postgres: %w", errors.Join(faults...))
}

// checkOwner refuses a folder that another user made. In a shared place like
// /tmp that user would own what is put there.
func checkOwner(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("look at folder: %w", err)
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("folder %s belongs to user %d, not to the user %d of this process", dir, st.Uid, os.Geteuid())
	}
	return nil
}

// prepareFolder makes dir, and sees to it that the server's user can reach it.
func prepareFolder(dir string, a account) error {
	if err := makeFolders(dir, a); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("look at folder: %w", err)
	}
	if !a.drop {
		return nil
	}
	// Opening the folder itself, as of a fresh `mktemp -d`, is in our hands; its parents are not.
	if err := openFolder(dir, info); err != nil {
		return err
	}
	if closed := a.closedFolder(dir); closed != "" {
		return fmt.Errorf("folder %s cannot be reached by user %s, which Postgres has to run as since it refuses root: %s is closed to it; "+
			"choose another folder with AI_AGENTS_DATA_DIR, for example one in /var/lib", dir, a.name, closed)
	}
	return nil
}

// makeFolders makes dir and its missing parents; where the server runs as
// another user, open to it whatever the umask.
func makeFolders(dir string, a account) error {
	err := os.Mkdir(dir, 0o700)
	if errors.Is(err, os.ErrNotExist) && filepath.Dir(dir) != dir {
		if err := makeFolders(filepath.Dir(dir), a); err != nil {
			return err
		}
		err = os.Mkdir(dir, 0o700)
	}
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err == nil && a.drop {
		err = os.Chmod(dir, 0o711)
	}
	return err
}

func openFolder(dir string, info os.FileInfo) error {
	mode := info.Mode().Perm()
	if mode&0o011 == 0o011 {
		return nil
	}
	if err := os.Chmod(dir, mode|0o011); err != nil {
		return fmt.Errorf("open folder to the server's user: %w", err)
	}
	return nil
}
