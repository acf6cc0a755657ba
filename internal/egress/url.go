package egress

import (
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"aiagents/internal/fault"
)

// CheckURL finds what is wrong with a base URL before anything is dialled, so that whoever types it learns it at once.
// It asks no DNS: a name that resolves to a refused address is found when it is dialled. The error is a fault of kind
// Invalid that names the rule and the way out.
func (g *Guard) CheckURL(raw string) error {
	u, err := url.Parse(raw)
	if err != nil || u.Opaque != "" || strings.ContainsFunc(raw, isSpaceOrControl) || strings.Contains(raw, `\`) {
		return invalidURL("it cannot be read as a URL: write it like https://desk.example.com")
	}
	if err := g.checkParts(u); err != nil {
		return err
	}
	if u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return invalidURL("a base URL has no query and no fragment")
	}
	return g.checkHost(u.Hostname())
}

// checkParts holds the rules that every single request is judged by again.
func (g *Guard) checkParts(u *url.URL) error {
	switch {
	case u.Scheme == "http" && !g.policy.AllowHTTP:
		return invalidURL("http sends the credentials in the clear: use https")
	case u.Scheme != "http" && u.Scheme != "https":
		return invalidURL("the scheme must be https")
	case u.User != nil:
		return invalidURL("credentials do not belong into a URL: give them by their own setting")
	case u.Hostname() == "":
		return invalidURL("it names no host")
	}
	if port := u.Port(); port != "" || strings.HasSuffix(u.Host, ":") {
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			return invalidURL("the port must be 1 to 65535")
		}
	}
	return nil
}

func (g *Guard) checkHost(host string) error {
	if addr, err := netip.ParseAddr(host); err == nil {
		if addr.Zone() != "" {
			return invalidURL("an address with a zone is of this machine's network only")
		}
		if err := g.policy.check(addr); err != nil {
			return fault.Wrap(fault.Invalid, err, "the URL is refused: "+err.Error())
		}
		return nil
	}
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	switch {
	case name == "" || strings.Contains(name, "..") || strings.HasPrefix(name, "."):
		return invalidURL("the host name has an empty part")
	case strings.ContainsFunc(name, func(r rune) bool { return r > 127 }):
		return invalidURL("write the host name in its xn-- form")
	case strings.ContainsFunc(name, func(r rune) bool { return !isHostRune(r) }):
		return invalidURL("the host name has a character that host names cannot have")
	case endsInNumber(name):
		return invalidURL("write the address in its usual form, four decimal numbers, or as a host name")
	case name == "localhost" || strings.HasSuffix(name, ".localhost"):
		if !g.policy.AllowLoopback {
			return invalidURL("localhost is this machine itself, which is refused outside development")
		}
	case name == "metadata" || name == "metadata.google.internal" || name == "instance-data":
		return invalidURL("it is a metadata service")
	}
	return nil
}

// endsInNumber reports whether some resolvers would read the name as an IPv4 address in octal, hexadecimal or short form.
func endsInNumber(name string) bool {
	last := name[strings.LastIndexByte(name, '.')+1:]
	if strings.HasPrefix(last, "0x") {
		return true
	}
	_, err := strconv.ParseUint(last, 10, 64)
	return err == nil
}

func isHostRune(r rune) bool {
	return r == '.' || r == '-' || r == '_' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9'
}

func isSpaceOrControl(r rune) bool { return r <= ' ' || r == 0x7f }

func invalidURL(why string) error {
	return fault.New(fault.Invalid, "the URL is refused: "+why)
}
