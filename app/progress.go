package app

import (
	"io"
	"time"

	"github.com/schollz/progressbar/v3"
)

// bar shows progress on a terminal, with rate and time left; a pipe gets none.
type bar struct{ inner *progressbar.ProgressBar }

// byteBar counts the bytes of an input.
func (c *cli) byteBar(what string) *bar { return c.bar(what, progressbar.OptionShowBytes(true)) }

func (c *cli) bar(what string, more ...progressbar.Option) *bar {
	w := c.errOut
	if !isTerminal(w) {
		w = io.Discard
	}
	options := append([]progressbar.Option{
		progressbar.OptionSetWriter(w),
		progressbar.OptionSetDescription(what),
		progressbar.OptionEnableColorCodes(lookupEnv(c.environ, "NO_COLOR") == ""),
		progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionSetPredictTime(true),
		progressbar.OptionThrottle(100 * time.Millisecond), progressbar.OptionClearOnFinish(),
		// The spinner draws from a goroutine of the library's, which races with everything that sets the bar.
		progressbar.OptionSetSpinnerChangeInterval(0),
	}, more...)
	return &bar{progressbar.NewOptions64(-1, options...)}
}

// set moves the bar. A failure to draw is nobody's concern.
func (b *bar) set(done, total int64) {
	if total > 0 {
		b.inner.ChangeMax64(total)
	}
	_ = b.inner.Set64(done)
}

func (b *bar) done() { _ = b.inner.Finish() }
