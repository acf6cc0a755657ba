package webhook

import (
	"net/netip"
	"time"

	"github.com/maypok86/otter/v2"
	"golang.org/x/time/rate"
)

// maxLimited bounds how many senders are remembered; the least used are forgotten first, which only forgives them.
const maxLimited = 100_000

// limitedAddress is what a sender is counted under: an IPv4 address, or the /64 of an IPv6 address, since one sender has all of
// it and could use a new address for every request.
func limitedAddress(address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	ip = ip.Unmap().WithZone("")
	if ip.Is4() {
		return ip.String()
	}
	network, err := ip.Prefix(64)
	if err != nil {
		return address
	}
	return network.String()
}

// limiter is a token bucket a key.
type limiter struct {
	buckets *otter.Cache[string, *rate.Limiter]
	limit   rate.Limit
	burst   int
}

func newLimiter(perSecond float64, burst int) *limiter {
	return &limiter{
		buckets: otter.Must(&otter.Options[string, *rate.Limiter]{MaximumSize: maxLimited}),
		limit:   rate.Limit(perSecond),
		burst:   burst,
	}
}

// allow takes one token, or says how long to wait for the next.
func (l *limiter) allow(key string, now time.Time) (wait time.Duration, ok bool) {
	bucket := l.bucket(key)
	if bucket.AllowN(now, 1) {
		return 0, true
	}
	reservation := bucket.ReserveN(now, 1)
	wait = reservation.DelayFrom(now)
	reservation.CancelAt(now)
	return max(wait, time.Second), false
}

// charge takes n more tokens, as far as there are any.
func (l *limiter) charge(key string, n int, now time.Time) {
	bucket := l.bucket(key)
	for range n {
		if !bucket.AllowN(now, 1) {
			return
		}
	}
}

func (l *limiter) bucket(key string) *rate.Limiter {
	if bucket, ok := l.buckets.GetIfPresent(key); ok {
		return bucket
	}
	bucket, _ := l.buckets.SetIfAbsent(key, rate.NewLimiter(l.limit, l.burst))
	return bucket
}
