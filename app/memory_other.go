//go:build !linux

package app

import "runtime/debug"

// forgetStart gives back what only the start needed.
func forgetStart() { debug.FreeOSMemory() }
