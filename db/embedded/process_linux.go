package embedded

import (
	"fmt"
	"os"
	"strings"
	"syscall"
)

// dieWithParent has the kernel signal the new process when the thread that
// starts it ends; the caller keeps that thread. Go sets it after the change of
// user, which would clear it.
func dieWithParent(attr *syscall.SysProcAttr, sig syscall.Signal) {
	attr.Pdeathsig = sig
}

// isPostmaster reports whether the process is a server on the data folder. A
// process that has ended but was not reaped has an empty command line.
func isPostmaster(pid int, data string) bool {
	args, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return err == nil && strings.Contains(string(args), "\x00-D\x00"+data+"\x00")
}
