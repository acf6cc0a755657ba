package servicedesk

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"
)

// row is something a list can filter and sort: values are strings or times.
type row interface {
	value(field string) (v any, known bool)
}

// query is a checked list_info.
type query struct {
	count    int
	start    int // 1-based
	sort     string
	desc     bool
	total    bool
	where    []criterion
	filterBy string
	fields   []string // asked for with fields_required
}

// criterion is one search condition; or joins it to the one before it.
type criterion struct {
	field, condition string
	values           []string
	or               bool
	children         []criterion
}

// listSchema has fields_required in both places, since clients send either.
var listSchema = schema{
	"list_info": {kind: object, fields: schema{
		"row_count": {}, "start_index": {}, "page": {}, "sort_field": {kind: text}, "sort_order": {kind: text},
		"get_total_count": {kind: boolean}, "search_fields": {kind: anything}, "search_criteria": {kind: anything},
		"filter_by": {kind: lookup}, "fields_required": {kind: list},
	}},
	"fields_required": {kind: list},
}

// conditions maps every spelling to the short one.
var conditions = map[string]string{
	"is": "eq", "eq": "eq", "is not": "neq", "neq": "neq", "greater than": "gt", "gt": "gt",
	"greater or equal": "gte", "gte": "gte", "lesser than": "lt", "lt": "lt", "lesser or equal": "lte", "lte": "lte",
	"between": "between", "not between": "not between", "starts with": "starts with", "ends with": "ends with",
	"contains": "contains", "like": "contains", "not contains": "not contains",
}

// listQuery reads list_info; only the query string counts, as on the real desk.
func (c *call) listQuery() (query, *problem) {
	q := query{count: 10, start: 1}
	v, p := c.inputData()
	if p != nil || v == nil {
		return q, p
	}
	if p := listSchema.check("", v); p != nil {
		return q, p
	}
	info, _ := v["list_info"].(map[string]any)
	q.fields = append(texts(v["fields_required"]), texts(info["fields_required"])...)
	for key, into := range map[string]*int{"row_count": &q.count, "start_index": &q.start} {
		if p := whole("list_info."+key, info[key], into); p != nil {
			return q, p
		}
	}
	if q.count < 1 || q.count > 100 {
		return q, invalid("list_info.row_count", "Must be between 1 and 100")
	}
	page := 0
	if p := whole("list_info.page", info["page"], &page); p != nil {
		return q, p
	}
	if page > 0 {
		q.start = (page-1)*q.count + 1
	}
	q.start = max(q.start, 1)
	q.sort, q.total = str(info["sort_field"]), flag(info["get_total_count"])
	switch order := str(info["sort_order"]); order {
	case "", "asc", "desc":
		q.desc = order == "desc"
	default:
		return q, invalid("list_info.sort_order", "Must be asc or desc")
	}
	q.filterBy = nameOf(info["filter_by"])
	return q, q.readCriteria(info)
}

// readCriteria joins the simple search_fields and the full search_criteria.
func (q *query) readCriteria(info map[string]any) *problem {
	fields, ok := info["search_fields"].(map[string]any)
	if !ok && info["search_fields"] != nil {
		return wrongType("list_info.search_fields", "object")
	}
	for field, v := range fields {
		q.where = append(q.where, criterion{field: field, condition: "eq", values: []string{scalar(v)}})
	}
	criteria, p := readCriteria("list_info.search_criteria", info["search_criteria"])
	q.where = append(q.where, criteria...)
	return p
}

// readCriteria takes an object or an array of them, value or values, as the desk does.
func readCriteria(path string, v any) ([]criterion, *problem) {
	var given []any
	switch v := v.(type) {
	case nil:
		return nil, nil
	case []any:
		given = v
	default:
		given = []any{v}
	}
	var out []criterion
	for _, g := range given {
		m, ok := g.(map[string]any)
		if !ok {
			return nil, wrongType(path, "object")
		}
		known := schema{
			"field": {kind: text, required: true}, "condition": {kind: text, required: true},
			"value": {}, "values": {}, "logical_operator": {kind: text}, "children": {},
		}
		if p := known.check(path+".", m); p != nil {
			return nil, p
		}
		crit := criterion{
			field: str(m["field"]), condition: conditions[strings.ToLower(str(m["condition"]))],
			or: strings.EqualFold(str(m["logical_operator"]), "or"),
		}
		if crit.condition == "" {
			return nil, invalid(path+".condition", "Unknown condition")
		}
		for _, key := range []string{"value", "values"} {
			if vs, ok := m[key].([]any); ok {
				for _, one := range vs {
					crit.values = append(crit.values, scalar(one))
				}
			} else if m[key] != nil {
				crit.values = append(crit.values, scalar(m[key]))
			}
		}
		var p *problem
		if crit.children, p = readCriteria(path+".children", m["children"]); p != nil {
			return nil, p
		}
		out = append(out, crit)
	}
	return out, nil
}

// listPage filters, sorts and cuts one page out of the rows.
func listPage[T row](q query, rows []T) ([]T, map[string]any, *problem) {
	var zero T
	if _, known := zero.value(q.sort); !known && q.sort != "" {
		return nil, nil, invalid("list_info.sort_field", "Unknown field")
	}
	if p := knownFields(zero, q.where); p != nil {
		return nil, nil, p
	}
	kept := make([]T, 0, len(rows))
	for _, r := range rows {
		if matchAll(r, q.where) {
			kept = append(kept, r)
		}
	}
	if q.sort != "" {
		slices.SortStableFunc(kept, func(a, b T) int {
			x, _ := a.value(q.sort)
			y, _ := b.value(q.sort)
			if q.desc {
				x, y = y, x
			}
			return compare(x, y)
		})
	}
	from := min(q.start-1, len(kept))
	to := min(from+q.count, len(kept))
	info := map[string]any{"has_more_rows": to < len(kept), "start_index": q.start, "row_count": to - from}
	if q.total {
		info["total_count"] = len(kept)
	}
	return kept[from:to], info, nil
}

// knownFields refuses a search on a field that does not exist, which would otherwise
// match nothing and look like an empty desk.
func knownFields(zero row, where []criterion) *problem {
	for _, c := range where {
		if _, known := zero.value(c.field); !known {
			return invalid("list_info.search_criteria.field", "Unknown field "+c.field)
		}
		if p := knownFields(zero, c.children); p != nil {
			return p
		}
	}
	return nil
}

// matchAll evaluates from left to right; each criterion's own operator joins it to
// what came before.
func matchAll(r row, where []criterion) bool {
	result := true
	for i, c := range where {
		hit := c.match(r)
		for _, child := range c.children {
			if child.or {
				hit = hit || child.match(r)
			} else {
				hit = hit && child.match(r)
			}
		}
		switch {
		case i == 0:
			result = hit
		case c.or:
			result = result || hit
		default:
			result = result && hit
		}
	}
	return result
}

// match evaluates the criterion alone. "is" without values asks for empty fields.
func (c criterion) match(r row) bool {
	have, _ := r.value(c.field)
	if len(c.values) == 0 {
		empty := have == "" || have == time.Time{}
		return empty == (c.condition == "eq")
	}
	any := func(test func(string) bool) bool { return slices.ContainsFunc(c.values, test) }
	order := func(want string) int { return compare(have, like(have, want)) }
	textual := func(test func(s, part string) bool) bool {
		s, _ := have.(string)
		return any(func(want string) bool { return test(strings.ToLower(s), strings.ToLower(want)) })
	}
	between := func() bool {
		return len(c.values) == 2 && order(c.values[0]) >= 0 && order(c.values[1]) <= 0
	}
	switch c.condition {
	case "eq":
		return any(func(w string) bool { return order(w) == 0 })
	case "neq":
		return !any(func(w string) bool { return order(w) == 0 })
	case "gt":
		return order(c.values[0]) > 0
	case "gte":
		return order(c.values[0]) >= 0
	case "lt":
		return order(c.values[0]) < 0
	case "lte":
		return order(c.values[0]) <= 0
	case "between":
		return between()
	case "not between":
		return !between()
	case "starts with":
		return textual(strings.HasPrefix)
	case "ends with":
		return textual(strings.HasSuffix)
	case "contains":
		return textual(strings.Contains)
	default:
		return !textual(strings.Contains)
	}
}

// like turns a wanted text into the type of the value it is compared with.
func like(have any, want string) any {
	if _, ok := have.(time.Time); !ok {
		return want
	}
	ms, err := strconv.ParseInt(want, 10, 64)
	if err != nil {
		return want
	}
	return time.UnixMilli(ms)
}

// compare orders times by milliseconds, numbers by size and the rest as text.
func compare(a, b any) int {
	if x, ok := a.(time.Time); ok {
		y, ok := b.(time.Time)
		if !ok {
			return -1
		}
		return cmp.Compare(x.UnixMilli(), y.UnixMilli())
	}
	x, y := str(a), str(b)
	if n, err := strconv.ParseInt(x, 10, 64); err == nil {
		if m, err := strconv.ParseInt(y, 10, 64); err == nil {
			return cmp.Compare(n, m)
		}
	}
	return cmp.Compare(strings.ToLower(x), strings.ToLower(y))
}

// scalar reads a value in any spelling: text, number, bool, date object or lookup.
func scalar(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	case map[string]any:
		return cmp.Or(str(v["value"]), nameOf(v))
	}
	return ""
}

// texts reads a list of strings.
func texts(v any) []string {
	var out []string
	items, _ := v.([]any)
	for _, i := range items {
		out = append(out, str(i))
	}
	return out
}

// whole reads an integer given as number or as digits.
func whole(path string, v any, into *int) *problem {
	if v == nil {
		return nil
	}
	n, err := strconv.Atoi(scalar(v))
	if err != nil || n < 0 {
		return wrongType(path, "integer")
	}
	*into = n
	return nil
}

// wants tells whether a heavy field was asked for by name.
func (q query) wants(field string) bool { return slices.Contains(q.fields, field) }
