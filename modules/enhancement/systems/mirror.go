package systems

import (
	"context"
	"regexp"
)

// Asset is a machine that the service desk knows. One without an address is known by its name.
type Asset struct {
	ID       string
	Name     string
	IP       string
	Type     string
	Location string
}

// Mirror brings the hosts of one tenant that come from its service desk up to what the desk lists. It never touches an
// imported host, and is for one goroutine.
type Mirror struct{ importer importer }

// Mirror begins one. Hosts that were written by somebody else since are left alone.
func (v *Inventory) Mirror(ctx context.Context, tenantID string) (*Mirror, error) {
	m := &Mirror{importer{inventory: v, tenantID: tenantID, origin: originDesk, seen: map[hostID]struct{}{}}}
	return m, m.importer.begin(ctx)
}

// hostLike keeps out what an asset management has besides hosts: monitors, chairs and licences are named in words.
var hostLike = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

// Put adds and updates hosts. It returns how many were added and changed, and how many are no hosts.
func (m *Mirror) Put(ctx context.Context, assets []Asset) (added, changed, skipped int, err error) {
	before := m.importer.report
	for _, a := range assets {
		fields := map[string]string{
			"ip": a.IP, "role": a.Type, "location": a.Location, "asset_id": a.ID, "source": "ServiceDesk Plus",
		}
		if hostLike.MatchString(a.Name) {
			fields["hostname"] = a.Name
		}
		h, err := newHost(0, fields)
		if err != nil {
			skipped++
			continue
		}
		if _, again := m.importer.seen[idOf(h.key, h.ip)]; again {
			skipped++
			continue
		}
		m.importer.take(h)
	}
	err = m.importer.flush(ctx)
	after := m.importer.report
	return after.Added - before.Added, after.Changed - before.Changed, skipped, err
}

// Close retires the desk's hosts that were not put: after the whole list was read. A desk that lists nothing is taken for one
// that does not show its assets, and nothing is retired.
func (m *Mirror) Close(ctx context.Context) (retired int, err error) {
	err = m.importer.prune(ctx)
	return m.importer.report.Retired, err
}
