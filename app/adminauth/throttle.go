package adminauth

import (
	"net/netip"
	"time"

	"github.com/maypok86/otter/v2"
	"golang.org/x/time/rate"
)

// Guesses are allowed in a small burst, then slowly: by address, and for all addresses together.
const (
	addressBurst = 10
	addressEvery = 6 * time.Second
	totalBurst   = 100
	totalEvery   = time.Second
	// provenFor is how long an address that gave the right token is exempt from the total.
	provenFor = time.Hour
	// maxAddresses bounds how many are remembered; the least used are forgotten first, which only forgives them.
	maxAddresses = 10_000
)

// throttle counts wrong tokens.
type throttle struct {
	total   *rate.Limiter
	senders *otter.Cache[string, *rate.Limiter]
	proven  *otter.Cache[string, time.Time]
}

func newThrottle() *throttle {
	return &throttle{
		total:   rate.NewLimiter(rate.Every(totalEvery), totalBurst),
		senders: otter.Must(&otter.Options[string, *rate.Limiter]{MaximumSize: maxAddresses}),
		proven:  otter.Must(&otter.Options[string, time.Time]{MaximumSize: maxAddresses}),
	}
}

// judge counts an attempt of the address, and says how long to wait when there were too many wrong ones. A right token is
// refused then too: otherwise the limit would tell which guess was right.
func (t *throttle) judge(address string, right bool, now time.Time) (wait time.Duration, ok bool) {
	key := network(address)
	sender := t.sender(key)
	if !right {
		// Both are charged, whichever refuses first.
		mine, all := sender.AllowN(now, 1), t.total.AllowN(now, 1)
		if !mine {
			return free(sender, now)
		}
		if !all {
			return free(t.total, now)
		}
		return 0, true
	}
	if wait, ok := free(sender, now); !ok {
		return wait, false
	}
	if until, known := t.proven.GetIfPresent(key); !known || now.After(until) {
		if wait, ok := free(t.total, now); !ok {
			return wait, false
		}
	}
	t.proven.Set(key, now.Add(provenFor))
	return 0, true
}

// free reports whether a bucket has a token left, without taking it.
func free(bucket *rate.Limiter, now time.Time) (wait time.Duration, ok bool) {
	left := bucket.TokensAt(now)
	if left >= 1 {
		return 0, true
	}
	return max(time.Duration((1-left)/float64(bucket.Limit())*float64(time.Second)), time.Second), false
}

func (t *throttle) sender(key string) *rate.Limiter {
	if bucket, ok := t.senders.GetIfPresent(key); ok {
		return bucket
	}
	bucket, _ := t.senders.SetIfAbsent(key, rate.NewLimiter(rate.Every(addressEvery), addressBurst))
	return bucket
}

// network is what a sender is counted under: an IPv4 address, or the /64 of an IPv6 address, all of which one sender has.
func network(address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	ip = ip.Unmap().WithZone("")
	if ip.Is4() {
		return ip.String()
	}
	if prefix, err := ip.Prefix(64); err == nil {
		return prefix.String()
	}
	return address
}
