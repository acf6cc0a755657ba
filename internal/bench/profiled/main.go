// Command profiled is the product with a CPU and an allocation profile of its whole life, written when it ends.
//
// It owns nothing but the two files, in the folder that BENCH_PROFILES names; without it there are none. It exists so that the
// product itself has no way to be profiled from outside: nothing of this is in the binary that is shipped.
//
// A profile that cannot be written is reported on standard error and changes nothing else.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strconv"

	"aiagents/app"
)

func main() {
	finish := begin(os.Getenv("BENCH_PROFILES"))
	code := app.Main()
	finish()
	os.Exit(code)
}

// begin starts the CPU profile and returns what ends it. Commands other than the roles end too soon to tell anything.
func begin(dir string) (finish func()) {
	if dir == "" || len(os.Args) != 2 {
		return func() {}
	}
	base := filepath.Join(dir, os.Args[1]+"-"+strconv.Itoa(os.Getpid()))
	cpu, err := os.Create(base + ".cpu.pprof")
	if err == nil {
		err = pprof.StartCPUProfile(cpu)
	}
	report(err)
	return func() {
		pprof.StopCPUProfile()
		report(cpu.Close())
		allocs, err := os.Create(base + ".allocs.pprof")
		if err == nil {
			err = pprof.Lookup("allocs").WriteTo(allocs, 0)
		}
		report(err)
		report(allocs.Close())
	}
}

func report(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "profile:", err)
	}
}
