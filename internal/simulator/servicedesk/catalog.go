package servicedesk

import (
	"slices"
	"time"
)

// value gives the fields that can be searched and sorted on.
func (s Solution) value(field string) (any, bool) {
	switch field {
	case "", "id":
		return s.ID, true
	case "title":
		return s.Title, true
	case "keywords":
		return s.Keywords, true
	case "topic.name", "topic":
		return s.Topic, true
	case "approval_status.name", "approval_status":
		return s.Status, true
	case "expiry_date":
		return s.Expires, true
	case "last_updated_time":
		return s.Updated, true
	}
	return nil, false
}

// passes applies the vendor's named filters.
func (s Solution) passes(filter string, now time.Time) (ok, known bool) {
	expired := !s.Expires.IsZero() && !s.Expires.After(now)
	switch filter {
	case "", "AllSolutions":
		return true, true
	case "ApprovedSolutions":
		return s.Status == "Approved" && !expired, true
	case "RejectedSolutions":
		return s.Status == "Rejected", true
	case "Approval_Pending":
		return s.Status == "Approval Pending", true
	case "UnApprovedSolutions":
		return s.Status == "UnApproved", true
	case "ExpiredSolutions":
		return expired, true
	}
	return false, false
}

// listSolutions applies the vendor's named filter and then list_info; descriptions only
// when asked for.
func (d *Desk) listSolutions(c *call) *reply {
	q, p := c.listQuery()
	if p != nil {
		return failure(*p)
	}
	now := d.clock()
	if _, known := (Solution{}).passes(q.filterBy, now); !known {
		return failure(*invalid("list_info.filter_by.name", "Unknown filter"))
	}
	d.data.mu.RLock()
	solutions := slices.Clone(d.data.solutions)
	d.data.mu.RUnlock()
	solutions = slices.DeleteFunc(solutions, func(s Solution) bool {
		ok, _ := s.passes(q.filterBy, now)
		return !ok
	})
	solutions, info, p := listPage(q, solutions)
	if p != nil {
		return failure(*p)
	}
	var rows []map[string]any
	for _, s := range solutions {
		m := solutionJSON(s)
		if !q.wants("description") {
			delete(m, "description")
		}
		rows = append(rows, m)
	}
	return d.listing("solutions", rows, info)
}

// getSolution also returns rejected and expired articles: the client has to filter.
func (d *Desk) getSolution(c *call) *reply {
	if p := c.noInput(); p != nil {
		return failure(*p)
	}
	d.data.mu.RLock()
	defer d.data.mu.RUnlock()
	for _, s := range d.data.solutions {
		if s.ID == c.subID {
			return entity("solution", solutionJSON(s))
		}
	}
	return failure(noSuchURL)
}

func solutionJSON(s Solution) map[string]any {
	return map[string]any{
		"id": s.ID, "title": s.Title, "description": s.Description, "topic": named(s.Topic), "keywords": s.Keywords,
		"is_public": s.Public, "approval_status": named(s.Status), "expiry_date": dateJSON(s.Expires),
		"review_date": nil, "last_updated_time": dateJSON(s.Updated), "no_of_hits": "0",
	}
}

// value gives the fields that can be searched and sorted on.
func (a Asset) value(field string) (any, bool) {
	switch field {
	case "", "id":
		return a.ID, true
	case "name":
		return a.Name, true
	case "primary_ip":
		return a.IP, true
	case "account.id":
		return a.AccountID, true
	}
	return nil, false
}

// listAssets serves the names the build has: build 15100 renamed the lists and made
// addresses searchable; before that an address is not even in the answer.
func (d *Desk) listAssets(c *call) *reply {
	key := c.segments[0]
	if (key == "asset_assets") != d.opts.NewAssets {
		return failure(noSuchURL)
	}
	q, p := c.listQuery()
	if p != nil {
		return failure(*p)
	}
	if !d.opts.NewAssets && slices.ContainsFunc(q.where, func(c criterion) bool { return c.field == "primary_ip" }) {
		return failure(*invalid("list_info.search_criteria.field", "Unknown field primary_ip"))
	}
	d.data.mu.RLock()
	assets := slices.Clone(d.data.assets)
	d.data.mu.RUnlock()
	assets = slices.DeleteFunc(assets, func(a Asset) bool { return d.opts.Edition.msp() && !c.tech.sees(a.AccountID) })
	assets, info, p := listPage(q, assets)
	if p != nil {
		return failure(*p)
	}
	var rows []map[string]any
	for _, a := range assets {
		m := map[string]any{"id": a.ID, "name": a.Name, "product_type": named(a.Type), "site": named(a.Site)}
		if d.opts.NewAssets {
			m["primary_ip"] = a.IP
		}
		if d.opts.Edition.msp() {
			acc := d.data.account(a.AccountID)
			m["account"] = map[string]any{"id": acc.ID, "name": acc.Name}
		}
		rows = append(rows, m)
	}
	return d.listing(key, rows, info)
}
