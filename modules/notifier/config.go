package notifier

import "time"

// Config holds the module's settings. The three parts of the quiet time are assumptions about the other side; see
// docs/reliability.md.
type Config struct {
	// PostTimeout bounds a note's request, from the committed intent to the last byte of the answer.
	PostTimeout time.Duration `yaml:"post_timeout"`
	// ServerSlack is how much later the desk may still apply a request that we gave up.
	ServerSlack time.Duration `yaml:"server_slack"`
	// ListDelay is how long an applied note may be missing from the desk's list of notes.
	ListDelay time.Duration `yaml:"list_delay"`
	// VerifyBeforePost looks at every ticket before its note is first written: after a restore that cannot be noticed.
	VerifyBeforePost bool `yaml:"verify_before_post"`
	// VerifyAfterRestore is for how long that is done after the database was found to be restored or failed over.
	VerifyAfterRestore time.Duration `yaml:"verify_after_restore"`
	// ReadTimeout bounds every other request.
	ReadTimeout time.Duration `yaml:"read_timeout"`
	// ProbeInterval is how often a paused connection is tried again.
	ProbeInterval time.Duration `yaml:"probe_interval"`
	// RequestsPerSecond limits calls about single tickets, a connection and process. It only keeps a flood from drowning a
	// desk: what a desk really allows is not published, and its own 429 is obeyed.
	RequestsPerSecond float64 `yaml:"requests_per_second"`
	// ListsPerSecond limits calls that list tickets or solutions, a connection and process.
	ListsPerSecond float64 `yaml:"lists_per_second"`
	// BreakerFailures is how many failures in a row open a connection's breaker.
	BreakerFailures int `yaml:"breaker_failures"`
	// BreakerPause is how long an open breaker refuses calls before it lets one try.
	BreakerPause time.Duration `yaml:"breaker_pause"`
}

// DefaultConfig gives 10 s for the request, 30 s of slack and 5 s for the list, so 45 s of quiet time; 15 s for reads; a
// probe every 30 s; 200 requests and 1 list a second; and a breaker that opens for 20 s after 5 failures.
func DefaultConfig() Config {
	return Config{
		PostTimeout: 10 * time.Second, ServerSlack: 30 * time.Second, ListDelay: 5 * time.Second,
		VerifyAfterRestore: 7 * 24 * time.Hour,
		ReadTimeout:        15 * time.Second, ProbeInterval: 30 * time.Second,
		RequestsPerSecond: 200, ListsPerSecond: 1,
		BreakerFailures: 5, BreakerPause: 20 * time.Second,
	}
}

// QuietTime is how long after an intent its request either took effect, visibly, or never will.
func (c Config) QuietTime() time.Duration { return c.PostTimeout + c.ServerSlack + c.ListDelay }

// Validate names every fault of the configuration.
func (c Config) Validate() []string {
	var faults []string
	need := func(ok bool, text string) {
		if !ok {
			faults = append(faults, "notifier."+text)
		}
	}
	need(c.PostTimeout > 0, "post_timeout: must be more than 0")
	need(c.ServerSlack > 0, "server_slack: must be more than 0")
	need(c.ListDelay >= 0, "list_delay: must be 0 or more")
	need(c.VerifyAfterRestore >= 0, "verify_after_restore: must be 0 (off) or more")
	need(c.ReadTimeout > 0, "read_timeout: must be more than 0")
	need(c.ProbeInterval > 0, "probe_interval: must be more than 0")
	need(c.RequestsPerSecond > 0, "requests_per_second: must be more than 0")
	need(c.ListsPerSecond > 0, "lists_per_second: must be more than 0")
	need(c.BreakerFailures > 0, "breaker_failures: must be 1 or more")
	need(c.BreakerPause > 0, "breaker_pause: must be more than 0")
	return faults
}
