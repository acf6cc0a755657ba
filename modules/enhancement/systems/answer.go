package systems

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"aiagents/modules/enhancement/evidence"
)

// rank orders the systems of an answer, best first.
type rank int

const (
	rankAddress rank = iota
	rankName
	rankNetwork
	rankPlainWord // a host whose name is an ordinary word, such as "mail"
	rankInside    // a host within a network that the text names
	rankUnknown
	rankUnknownName
)

func (r rank) how() string {
	switch r {
	case rankAddress:
		return "address"
	case rankName, rankPlainWord:
		return "name"
	case rankNetwork, rankInside:
		return "network"
	case rankUnknown, rankUnknownName:
		return "unknown"
	}
	return "unknown"
}

// finding is one host or network with everything in the text that led to it.
type finding struct {
	rank      rank
	offset    int
	matchedBy []string
	entries   []entry       // rows of the host that matched, best first
	address   *netip.Prefix // the address by which it was found
	unknown   *Mention      // set when there is no row
}

// answer collects what the inventory says about the questions.
type answer struct {
	questions
	findings map[string]*finding
}

// ask runs the queries. Addresses go first, because a retired address may lead to a host that lives on under another one.
func (a *answer) ask(ctx context.Context, tx pgx.Tx, tenantID string) error {
	a.findings = map[string]*finding{}
	if prefixes := a.prefixes(); len(prefixes) > 0 {
		found, err := entries(ctx, tx, byAddress, tenantID, prefixes)
		if err != nil {
			return err
		}
		a.placeAddresses(found)
	}
	if len(a.macs) > 0 {
		found, err := entries(ctx, tx, byMAC, tenantID, keys(a.macs))
		if err != nil {
			return err
		}
		a.placeMACs(found)
	}
	if err := a.askInside(ctx, tx, tenantID); err != nil {
		return err
	}
	if err := a.askNames(ctx, tx, tenantID); err != nil {
		return err
	}
	return a.askUnknownNames(ctx, tx, tenantID)
}

func (a *answer) askInside(ctx context.Context, tx pgx.Tx, tenantID string) error {
	for _, m := range a.networks {
		found, err := entries(ctx, tx, withinNetwork, tenantID, fullPrefix(m.Prefix.Addr()), fullPrefix(lastAddress(m.Prefix)))
		if err != nil {
			return err
		}
		for _, e := range found {
			a.add(e, rankInside, m.Text, m.Offset, e.IPAddress)
		}
	}
	return nil
}

func (a *answer) askNames(ctx context.Context, tx pgx.Tx, tenantID string) error {
	// The hosts found so far are asked for by name too: that brings their other addresses.
	qualified := slices.Clone(a.qualified)
	for _, f := range a.findings {
		if key := f.entries[0].HostnameKey; key != "" {
			qualified = append(qualified, key)
		}
	}
	for _, query := range []struct {
		sql  string
		keys []string
	}{{byHostname, qualified}, {byShortName, a.short}} {
		if len(query.keys) == 0 {
			continue
		}
		found, err := entries(ctx, tx, query.sql, tenantID, query.keys)
		if err != nil {
			return err
		}
		for _, e := range found {
			a.placeName(e)
		}
	}
	return nil
}

// placeName adds a row that a word of the text names, or completes a host that was found already.
func (a *answer) placeName(e entry) {
	w, named := a.words[e.HostnameKey]
	if !named {
		w, named = a.labels[e.HostnameKey]
	}
	if !named {
		w, named = a.words[shortName(e.HostnameKey)]
	}
	if !named {
		if f := a.findings[hostKey(e)]; f != nil {
			f.entries = append(f.entries, e)
		}
		return
	}
	r := rankName
	if !strings.ContainsAny(w.key, "0123456789-_.") {
		r = rankPlainWord
	}
	a.add(e, r, w.text, w.offset, nil)
}

// placeAddresses gives each address its own row, or else the smallest live network around it, and each network of the text
// the smallest that is or contains it. Live rows hide retired ones.
func (a *answer) placeAddresses(found []entry) {
	byPrefix := map[netip.Prefix][]entry{}
	for _, e := range found {
		byPrefix[*e.IPAddress] = append(byPrefix[*e.IPAddress], e)
	}
	for _, m := range a.addresses {
		own := byPrefix[m.Prefix]
		live := slices.DeleteFunc(slices.Clone(own), func(e entry) bool { return e.Retired })
		if len(live) > 0 {
			own = live
		}
		for _, e := range own {
			a.add(e, rankAddress, m.Text, m.Offset, &m.Prefix)
		}
		if len(own) == 0 && !a.placeNetwork(m, byPrefix) && reportable(m.Prefix.Addr()) {
			a.unknown(m, rankUnknown)
		}
	}
	for _, m := range a.networks {
		if !a.placeNetwork(m, byPrefix) {
			a.unknown(m, rankUnknown)
		}
	}
}

func (a *answer) placeNetwork(m Mention, byPrefix map[netip.Prefix][]entry) bool {
	for bits := m.Prefix.Bits(); bits >= 0; bits-- {
		placed := false
		for _, e := range byPrefix[netip.PrefixFrom(m.Prefix.Addr(), bits).Masked()] {
			if !e.Retired && e.isNetwork() {
				a.add(e, rankNetwork, m.Text, m.Offset, nil)
				placed = true
			}
		}
		if placed {
			return true
		}
	}
	return false
}

func (a *answer) placeMACs(found []entry) {
	for _, m := range a.macs {
		known := false
		for _, e := range found {
			if e.MACKey == m.Key {
				a.add(e, rankAddress, m.Text, m.Offset, e.IPAddress)
				known = true
			}
		}
		if !known {
			a.unknown(m, rankUnknown)
		}
	}
}

// reportable tells addresses that could be a system of the tenant from those that mean a machine itself or a group.
func reportable(addr netip.Addr) bool {
	return !addr.IsLoopback() && !addr.IsMulticast() && !addr.IsLinkLocalUnicast()
}

func (a *answer) askUnknownNames(ctx context.Context, tx pgx.Tx, tenantID string) error {
	byStem := map[string][]Mention{}
	for _, m := range a.names {
		if s := stem(m.Key); s != "" && !a.isFound(m) {
			byStem[s] = append(byStem[s], m)
		}
	}
	if len(byStem) == 0 {
		return nil
	}
	first := slices.Sorted(maps.Keys(byStem))
	last := make([]string, len(first))
	for i, s := range first {
		last[i] = s + "~" // sorts after every character of a host name
	}
	rows, err := tx.Query(ctx, familiarStems, tenantID, first, last)
	if err != nil {
		return fmt.Errorf("select families of hosts: %w", err)
	}
	stems, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("select families of hosts: %w", err)
	}
	for _, s := range stems {
		for _, m := range byStem[s] {
			a.unknown(m, rankUnknownName)
		}
	}
	return nil
}

func (a *answer) isFound(m Mention) bool {
	for _, f := range a.findings {
		if slices.Contains(f.matchedBy, m.Text) {
			return true
		}
	}
	return false
}

// hostKey groups the rows of one host. A network is never joined with a host of the same name.
func hostKey(e entry) string {
	if e.isNetwork() || e.HostnameKey == "" {
		return e.IPAddress.String() + " " + e.HostnameKey
	}
	return e.HostnameKey
}

func (a *answer) add(e entry, r rank, text string, offset int, address *netip.Prefix) {
	f := a.findings[hostKey(e)]
	if f == nil {
		f = &finding{rank: r, offset: math.MaxInt}
		a.findings[hostKey(e)] = f
	}
	f.entries = append(f.entries, e)
	f.rank = min(f.rank, r)
	f.offset = min(f.offset, offset)
	if f.address == nil {
		f.address = address
	}
	if !slices.Contains(f.matchedBy, text) {
		f.matchedBy = append(f.matchedBy, text)
	}
}

func (a *answer) unknown(m Mention, r rank) {
	a.findings["unknown "+m.Key] = &finding{rank: r, offset: m.Offset, matchedBy: []string{m.Text}, unknown: &m, entries: []entry{{}}}
}

func (a *answer) systems() []evidence.System {
	found := slices.SortedFunc(maps.Values(a.findings), func(x, y *finding) int {
		return cmp.Or(cmp.Compare(x.rank, y.rank), cmp.Compare(x.offset, y.offset),
			cmp.Compare(x.entries[0].HostnameKey, y.entries[0].HostnameKey), cmp.Compare(x.entries[0].ID, y.entries[0].ID))
	})
	systems := make([]evidence.System, 0, min(len(found), maxSystems))
	for _, f := range found[:min(len(found), maxSystems)] {
		systems = append(systems, f.system())
	}
	return systems
}
