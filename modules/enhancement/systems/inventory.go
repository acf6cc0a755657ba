package systems

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"github.com/jackc/pgx/v5"

	"aiagents/db"
	"aiagents/modules/enhancement/evidence"
)

// Bounds of one look-up. A ticket has at most 10,000 characters; the bounds hold for whatever else is passed in.
const (
	maxSystems   = 10
	maxTextBytes = 256 << 10
	maxAddresses = 50
	maxWords     = 2000
	maxNetworks  = 5
)

// Inventory answers what the tenant's inventory knows, and takes imports.
type Inventory struct {
	db *db.DB
}

// New returns the inventory in the database.
func New(database *db.DB) *Inventory { return &Inventory{db: database} }

// Lookup returns the systems that the text names, at most ten, best first: by exact address (a MAC address counts as
// one), by host name, by containing network, then what the inventory does not know. An address in the inventory hides the
// networks around it. Names are compared without case, as short name or fully qualified; ordinary words that happen to
// be host names come after the rest.
//
// Unknown addresses and networks are returned with How "unknown". An unknown name is returned only when the tenant has
// hosts of the same family ("FS-03" beside an "FS-01"), so that "UTF-8" or "COVID-19" never is.
func (v *Inventory) Lookup(ctx context.Context, tenantID, text string) ([]evidence.System, error) {
	if len(text) > maxTextBytes {
		text = strings.ToValidUTF8(text[:maxTextBytes], "")
	}
	q := questionsOf(scan(text))
	var systems []evidence.System
	err := v.db.InTenantTx(ctx, tenantID, func(ctx context.Context, tx pgx.Tx) error {
		a := answer{questions: q}
		if err := a.ask(ctx, tx, tenantID); err != nil {
			return err
		}
		systems = a.systems()
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look up systems: %w", err)
	}
	return systems, nil
}

// questions is what a text asks of the inventory.
type questions struct {
	addresses []Mention
	networks  []Mention
	macs      []Mention
	names     []Mention // look like host names
	words     map[string]word
	labels    map[string]word // host-like first and last labels of words with dots
	qualified []string        // keys with a domain, and the labels
	short     []string        // keys without a domain
}

func questionsOf(mentions []Mention, words []word) questions {
	q := questions{words: map[string]word{}, labels: map[string]word{}}
	for _, m := range mentions {
		switch {
		case m.Kind == Address && len(q.addresses) < maxAddresses:
			q.addresses = append(q.addresses, m)
		case m.Kind == Network && len(q.networks) < maxNetworks:
			q.networks = append(q.networks, m)
		case m.Kind == MAC && len(q.macs) < maxAddresses:
			q.macs = append(q.macs, m)
		case m.Kind == Name && len(q.names) < maxAddresses:
			q.names = append(q.names, m)
		}
	}
	for _, w := range words {
		if len(q.words) >= maxWords {
			break
		}
		q.addWord(w)
	}
	return q
}

func (q *questions) addWord(w word) {
	if _, known := q.words[w.key]; known || len(w.key) < 2 || strings.Trim(w.key, "0123456789.") == "" {
		return
	}
	if !strings.Contains(w.key, ".") {
		if len(w.key) < 3 && !hasDigit(w.key) {
			return // "it" and "is" are not hosts, whatever the inventory says
		}
		q.words[w.key] = w
		q.short = append(q.short, w.key)
		return
	}
	q.words[w.key] = w
	q.qualified = append(q.qualified, w.key)
	if w.afterAt {
		return
	}
	// The inventory may have "fs-01" only, and people forget the space after a full stop.
	labels := strings.Split(w.key, ".")
	for _, l := range []string{labels[0], labels[len(labels)-1]} {
		if _, known := q.labels[l]; !known && len(l) > 2 && hasDigit(l) && strings.Trim(l, "0123456789") != "" {
			q.labels[l] = w
			q.qualified = append(q.qualified, l)
		}
	}
}

// prefixes lists the addresses and networks of the text with every network that could contain them.
func (q questions) prefixes() []netip.Prefix {
	seen := map[netip.Prefix]bool{}
	var all []netip.Prefix
	for _, mentions := range [][]Mention{q.addresses, q.networks} {
		for _, m := range mentions {
			for bits := m.Prefix.Bits(); bits >= 0; bits-- {
				p := netip.PrefixFrom(m.Prefix.Addr(), bits).Masked()
				if !seen[p] {
					seen[p] = true
					all = append(all, p)
				}
			}
		}
	}
	return all
}

func keys(mentions []Mention) []string {
	all := make([]string, len(mentions))
	for i, m := range mentions {
		all[i] = m.Key
	}
	return all
}

func hasDigit(s string) bool { return strings.ContainsAny(s, "0123456789") }

// lastAddress is the highest address of a network.
func lastAddress(p netip.Prefix) netip.Addr {
	raw := p.Masked().Addr().AsSlice()
	for bit := p.Bits(); bit < len(raw)*8; bit++ {
		raw[bit/8] |= 1 << (7 - bit%8)
	}
	last, _ := netip.AddrFromSlice(raw)
	return last
}

// Size counts a tenant's hosts and networks, without those that were retired, up to a bound that keeps it cheap.
func (v *Inventory) Size(ctx context.Context, tenantID string, bound int64) (n int64, err error) {
	err = v.db.InTenantTx(ctx, tenantID, func(ctx context.Context, tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `SELECT count(*) FROM (
			SELECT 1 FROM system_inventory WHERE tenant_id = $1 AND deleted_at IS NULL LIMIT $2) h`, tenantID, bound).Scan(&n)
		if err != nil {
			return fmt.Errorf("count hosts: %w", err)
		}
		return nil
	})
	return n, err
}
