package monitoring

import (
	"cmp"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"aiagents/modules/enhancement/evidence"
)

// safeName is what a host name or address may consist of to reach a query.
var safeName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.:-]{0,252}$`)

// namesOf lists the name and the address under which a host may be known, in lower case.
func namesOf(h evidence.System) []string {
	var names []string
	for _, name := range []string{h.Hostname, h.IP} {
		name = strings.ToLower(strings.TrimRight(name, "."))
		if safeName.MatchString(name) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// display is the host as the note calls it.
func display(h evidence.System) string { return cmp.Or(h.Hostname, h.IP) }

// hostNamed returns the host that a value of the provider means: its name, its short name or its address, with or without
// a port. A short name means a host of any domain; two full names must be equal.
func hostNamed(hosts []evidence.System, value string) (evidence.System, bool) {
	value = withoutPort(strings.ToLower(strings.TrimRight(strings.TrimSpace(value), ".")))
	if value == "" {
		return evidence.System{}, false
	}
	for _, h := range hosts {
		for _, name := range namesOf(h) {
			if sameHost(name, value) {
				return h, true
			}
		}
	}
	return evidence.System{}, false
}

func sameHost(name, value string) bool {
	if name == value {
		return true
	}
	if a, err := netip.ParseAddr(name); err == nil {
		b, err := netip.ParseAddr(value)
		return err == nil && a.Unmap() == b.Unmap()
	}
	if _, err := netip.ParseAddr(value); err == nil {
		return false
	}
	shortA, domainA, _ := strings.Cut(name, ".")
	shortB, domainB, _ := strings.Cut(value, ".")
	return shortA == shortB && (domainA == "" || domainB == "")
}

func withoutPort(value string) string {
	if _, err := netip.ParseAddr(strings.Trim(value, "[]")); err == nil {
		return strings.Trim(value, "[]")
	}
	if i := strings.LastIndexByte(value, ':'); i > 0 && strings.Trim(value[i+1:], "0123456789") == "" {
		return strings.Trim(value[:i], "[]")
	}
	return value
}

// hostLabels are the labels and tags by which alerts usually name their host.
var hostLabels = []string{
	"instance", "host", "hostname", "host_name", "node", "nodename", "exported_instance", "agent_hostname", "fqdn", "server",
	"machine", "computer", "device", "target", "vm", "ip", "address",
}

// hostOf returns the host that the labels name.
func hostOf(hosts []evidence.System, labels map[string]string) (evidence.System, bool) {
	for _, label := range hostLabels {
		if h, ok := hostNamed(hosts, labels[label]); ok {
			return h, true
		}
	}
	return evidence.System{}, false
}

// withRole keeps the hosts that a query is meant for: all, or those whose role contains the query's.
func withRole(hosts []evidence.System, role string) []evidence.System {
	var kept []evidence.System
	for _, h := range hosts {
		if strings.Contains(strings.ToLower(h.Role), strings.ToLower(role)) {
			kept = append(kept, h)
		}
	}
	return kept
}

// promHosts is a regular expression for the hosts with or without domain and port. Dots are written as [.], so that it needs
// no backslash and can stand in any kind of PromQL string.
func promHosts(hosts []evidence.System) string {
	var parts []string
	add := func(part string) {
		if !slices.Contains(parts, part) {
			parts = append(parts, part)
		}
	}
	for _, h := range hosts {
		for _, name := range namesOf(h) {
			quoted := strings.ReplaceAll(name, ".", "[.]")
			if addr, err := netip.ParseAddr(name); err == nil {
				if addr.Is6() {
					quoted = "[[]?" + quoted + "[]]?"
				}
				add(quoted)
				continue
			}
			short, domain, qualified := strings.Cut(name, ".")
			if qualified {
				add(short + "(?:[.]" + strings.ReplaceAll(domain, ".", "[.]") + ")?")
			} else {
				add(short + "(?:[.][a-z0-9.-]+)?")
			}
		}
	}
	return "(?i:" + strings.Join(parts, "|") + ")(?::[0-9]+)?"
}

// datadogHosts is a filter for the hosts' names, short names included.
func datadogHosts(hosts []evidence.System) string {
	var parts []string
	for _, h := range hosts {
		for _, name := range namesOf(h) {
			short, _, _ := strings.Cut(name, ".")
			if _, err := netip.ParseAddr(name); err == nil {
				continue // agents report names
			}
			for _, n := range []string{name, short} {
				if part := "host:" + n; !slices.Contains(parts, part) {
					parts = append(parts, part)
				}
			}
		}
	}
	return strings.Join(parts, " OR ")
}
