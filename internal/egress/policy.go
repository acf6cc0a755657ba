package egress

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"syscall"

	"code.dny.dev/ssrf"
)

// ErrRefused matches every call that the policy stopped before a byte was sent.
var ErrRefused = errors.New("refused by the egress policy")

// AllowSetting is the setting with which an operator allows private ranges; refusals name it as the way out.
const AllowSetting = "AI_AGENTS_EGRESS_ALLOW_CIDRS"

// Policy says where calls may go.
type Policy struct {
	// AllowCIDRs are private ranges that the operator vouches for.
	AllowCIDRs []netip.Prefix
	// AllowLoopback admits this machine itself: development and tests only.
	AllowLoopback bool
	// AllowHTTP admits unencrypted http: development and tests only.
	AllowHTTP bool
	// CAFile is a PEM bundle of certificate authorities, trusted besides the system's own.
	CAFile string
	// Wrap, when set, is put around every transport: for traces. It gets Options.Peer.
	Wrap func(peer string, guarded http.RoundTripper) http.RoundTripper
}

// RefusedError says which rule stopped a call to an address.
type RefusedError struct {
	Addr netip.Addr
	Rule string
	// Allowable is set when the operator may allow the address.
	Allowable bool
}

// Error names the address, the rule and, where there is one, the way out.
func (e *RefusedError) Error() string {
	text := fmt.Sprintf("%s is refused: %s", e.Addr, e.Rule)
	if e.Allowable {
		text += "; if this is an address of yours, let the operator add its range to " + AllowSetting
	}
	return text
}

// Unwrap makes every refusal match ErrRefused.
func (e *RefusedError) Unwrap() error { return ErrRefused }

type rule struct {
	prefix netip.Prefix
	why    string
}

func rules(why string, prefixes ...string) []rule {
	out := make([]rule, len(prefixes))
	for i, p := range prefixes {
		out[i] = rule{netip.MustParsePrefix(p), why}
	}
	return out
}

// never lists what no setting can allow. Metadata services hand out the machine's own credentials; some of them sit in
// ranges that look private or even public, so they are named one by one.
var never = append(append(append(append(append(
	rules("it is a metadata service",
		"169.254.169.254/32", "169.254.170.2/32", "fd00:ec2::/32", "100.100.100.200/32", "168.63.129.16/32",
		"192.0.0.192/32", "100.96.0.96/32", "fd20:ce::254/128", "fd00:42::42/128"),
	rules("it is a link-local address", "169.254.0.0/16", "fe80::/10")...),
	rules("it is the unspecified address or this network", "0.0.0.0/8", "::/128")...),
	rules("it is a multicast address", "224.0.0.0/4", "ff00::/8")...),
	rules("it is a reserved address", "192.0.0.0/24", "240.0.0.0/4", "fec0::/10")...),
	rules("it is an IPv6 form that hides an IPv4 address",
		"64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "::/96", "::ffff:0:0:0/96")...)

// special judges what is left: everything in IANA's special-purpose registries.
var special = ssrf.New(ssrf.WithAnyPort())

// check judges one address. It is the authority: CheckURL only finds early what check would find when dialling.
func (p Policy) check(addr netip.Addr) error {
	addr = addr.Unmap().WithZone("")
	if addr.IsLoopback() {
		if p.AllowLoopback {
			return nil
		}
		return &RefusedError{Addr: addr, Rule: "it is this machine itself"}
	}
	for _, r := range never {
		if r.prefix.Contains(addr) {
			return &RefusedError{Addr: addr, Rule: r.why}
		}
	}
	for _, prefix := range p.AllowCIDRs {
		if prefix.Contains(addr) {
			return nil
		}
	}
	if special.SafeAddr(addr) != nil {
		return &RefusedError{Addr: addr, Rule: "it is in a private or special-purpose range", Allowable: true}
	}
	return nil
}

// control is the net.Dialer hook: it sees the address that is really dialled, after DNS.
func (p Policy) control(network, address string, _ syscall.RawConn) error {
	if network != "tcp4" && network != "tcp6" {
		return fmt.Errorf("network %s: %w", network, ErrRefused)
	}
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("parse address: %w", errors.Join(err, ErrRefused))
	}
	return p.check(ap.Addr())
}
