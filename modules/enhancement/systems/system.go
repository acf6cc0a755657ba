package systems

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"aiagents/modules/enhancement/evidence"
)

// Keys that a look-up adds to the metadata of a system.
const (
	// MetaOtherAddresses lists the host's further addresses.
	MetaOtherAddresses = "other_addresses"
	// MetaFormerAddress is set when the ticket's address is a retired one of a host that lives on under another.
	MetaFormerAddress = "former_address"
)

// system makes the evidence of a finding. A host is retired only when all its rows are.
func (f *finding) system() evidence.System {
	if f.unknown != nil {
		return f.unknownSystem()
	}
	live := slices.DeleteFunc(slices.Clone(f.entries), func(e entry) bool { return e.Retired })
	rows := live
	if len(rows) == 0 {
		rows = f.entries
	}
	slices.SortStableFunc(rows, func(x, y entry) int {
		return cmp.Or(cmp.Compare(f.distance(x), f.distance(y)), compareAddresses(x.IPAddress, y.IPAddress), cmp.Compare(x.ID, y.ID))
	})
	best := rows[0]
	s := evidence.System{
		Hostname: best.Hostname, Role: best.Role, Location: best.Location, Metadata: maps.Clone(best.Metadata),
		MatchedBy: strings.Join(f.matchedBy, ", "), How: f.rank.how(), Retired: len(live) == 0,
	}
	if best.IPAddress != nil {
		s.IP = keyOf(*best.IPAddress)
	}
	s.ID = "S-" + strings.Join(strings.Fields(best.HostnameKey), "-")
	if best.HostnameKey == "" || best.isNetwork() {
		s.ID = "S-" + s.IP // several networks often share a name
	}
	f.addAddresses(&s, rows)
	return s
}

// distance puts the row of the matched address first.
func (f *finding) distance(e entry) int {
	if f.address != nil && e.IPAddress != nil && *e.IPAddress == *f.address {
		return 0
	}
	return 1
}

func (f *finding) addAddresses(s *evidence.System, rows []entry) {
	set := func(key, value string) {
		if s.Metadata == nil {
			s.Metadata = map[string]string{}
		}
		s.Metadata[key] = value
	}
	var others []string
	for _, e := range rows {
		if e.IPAddress == nil {
			continue
		}
		if ip := keyOf(*e.IPAddress); ip != s.IP && !slices.Contains(others, ip) {
			others = append(others, ip)
		}
	}
	if len(others) > 0 {
		set(MetaOtherAddresses, strings.Join(others, ", "))
	}
	if f.address != nil {
		if former := keyOf(*f.address); former != s.IP && !slices.Contains(others, former) {
			set(MetaFormerAddress, former)
		}
	}
}

func (f *finding) unknownSystem() evidence.System {
	m := *f.unknown
	s := evidence.System{ID: "S-" + m.Key, MatchedBy: m.Text, How: f.rank.how()}
	switch m.Kind {
	case Address, Network:
		s.IP = m.Key
	case Name:
		s.Hostname = m.Text
	case MAC:
		s.Metadata = map[string]string{"mac": m.Key}
	}
	return s
}

func compareAddresses(x, y *netip.Prefix) int {
	switch {
	case x == nil && y == nil:
		return 0
	case x == nil:
		return 1
	case y == nil:
		return -1
	}
	return cmp.Or(x.Addr().Compare(y.Addr()), cmp.Compare(x.Bits(), y.Bits()))
}
