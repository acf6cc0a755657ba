// Package harness holds what every harness of real processes needs: building the binary, running its commands, free ports,
// waiting, signing. The chaos harness and the benchmarks use it; production code never imports it.
//
// It owns no process and no state: what a harness starts, the harness ends. It does not own the simulators, see
// internal/simulator, nor the server, see db/embedded.
//
// When a command of the product fails, the error carries its output; when something does not become ready, the error names
// what was waited for.
package harness
