package synthesis

import (
	"net"
	"net/netip"
	"strings"
)

// parseAddress recognises an IPv4 or IPv6 address, a CIDR range or a MAC address, and returns the one spelling that all
// spellings of it share.
func parseAddress(s string) (canonical string, ok bool) {
	if !addressLike(s) {
		return "", false
	}
	return anyAddress(s)
}

func anyAddress(s string) (canonical string, ok bool) {
	if a, err := netip.ParseAddr(s); err == nil {
		return a.Unmap().WithZone("").String(), true
	}
	if p, err := netip.ParsePrefix(s); err == nil {
		return p.String(), true
	}
	if len(s) == 17 || len(s) == 14 {
		if m, err := net.ParseMAC(s); err == nil && len(m) == 6 {
			return m.String(), true
		}
	}
	// An address with a port is grounded by its address and its port.
	if host, port, err := net.SplitHostPort(s); err == nil && strings.Contains(host, ".") {
		if a, err := netip.ParseAddr(host); err == nil {
			return a.String() + ":" + port, true
		}
	}
	return "", false
}
