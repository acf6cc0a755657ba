package openai

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// The patterns that find ids and hosts in evidence, and fields that want them. Ids that
// are marked as such go before ones that only look like it.
var (
	markedID = regexp.MustCompile(`(?i)(?:\bid\s*[=:]\s*"?|"id"\s*:\s*"?|\[)([A-Za-z]{0,8}[-:]?\d[\w.-]*)`)
	bareID   = regexp.MustCompile(`#(\d+)|\b([A-Z]{1,6}-?\d+)\b`)
	hostName = regexp.MustCompile(`\b[a-z][a-z0-9]*(?:-[a-z0-9]+)+(?:\.[a-z0-9-]+)*\b|\b[a-z0-9-]+(?:\.[a-z0-9-]+){2,}\b`)
	idField  = regexp.MustCompile(`(?i)(^|_)(ids?|refs?|sources?|citations?|evidence|tickets?)$`)
	hostKey  = regexp.MustCompile(`(?i)host|system|server|device`)
)

// Synthesize is the default responder: it fills the schema with values taken from the
// user message, so that ids and names in the answer are ones the evidence has. With
// no schema it answers with the first lines of the message. It never invents.
func Synthesize(r Request) string {
	e := readEvidence(r.User())
	if r.Schema != nil {
		return mustJSON(e.fill(r.Schema, r.Schema, "", 0))
	}
	if r.JSON {
		return mustJSON(map[string]any{"summary": e.sentence()})
	}
	return e.sentence()
}

// Fill returns a valid instance of any schema strict mode takes (JSON text or a value
// that marshals to it), as JSON; "null" if it is not a schema.
func Fill(schema any) string {
	v, err := decoded(schema)
	if err != nil || v == nil {
		return "null"
	}
	return mustJSON(readEvidence("").fill(v, v, "", 0))
}

// evidence is what the user message offers, used up in turn.
type evidence struct {
	lines, ids, hosts []string
	nextLine, nextID  int
}

// readEvidence keeps lines of four words or more: shorter ones are headings.
func readEvidence(text string) *evidence {
	e := &evidence{}
	for line := range strings.Lines(text) {
		line = strings.Join(strings.Fields(strings.Trim(line, "#*->\t ")), " ")
		if len(strings.Fields(line)) >= 4 {
			e.lines = append(e.lines, line)
		}
	}
	for _, m := range markedID.FindAllStringSubmatch(text, -1) {
		e.ids = append(e.ids, m[1])
	}
	if len(e.ids) == 0 {
		for _, m := range bareID.FindAllStringSubmatch(text, -1) {
			e.ids = append(e.ids, m[1]+m[2])
		}
	}
	e.ids = unique(e.ids)
	e.hosts = unique(hostName.FindAllString(text, -1))
	return e
}

func unique(in []string) []string {
	var out []string
	for _, s := range in {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// sentence gives the lines in turn, so that fields differ.
func (e *evidence) sentence() string {
	if len(e.lines) == 0 {
		return "No evidence was given."
	}
	line := e.lines[e.nextLine%len(e.lines)]
	e.nextLine++
	if r := []rune(line); len(r) > 200 {
		line = string(r[:200])
	}
	return line
}

// fill builds an instance of one node. Depth ends recursive schemas at null or an empty list.
func (e *evidence) fill(root, n map[string]any, name string, depth int) any {
	if depth > 40 { // a schema that no finite value satisfies
		return nil
	}
	if ref, ok := n["$ref"].(string); ok {
		return e.fill(root, resolve(root, ref), name, depth+1)
	}
	if v, ok := n["const"]; ok {
		return v
	}
	if enum, ok := n["enum"].([]any); ok && len(enum) > 0 {
		if slices.Contains(enum, any("medium")) {
			return "medium"
		}
		return enum[0]
	}
	if options, ok := n["anyOf"].([]any); ok && len(options) > 0 {
		return e.fillUnion(root, options, name, depth)
	}
	kinds := typesOf(n)
	if len(kinds) == 0 {
		return nil
	}
	if depth > 8 && slices.Contains(kinds, "null") {
		return nil
	}
	switch kinds[0] {
	case "object":
		return e.fillObject(root, n, depth)
	case "array":
		return e.fillArray(root, n, name, depth)
	case "string":
		return e.fillString(n, name)
	case "number", "integer":
		return fillNumber(n, kinds[0] == "integer")
	case "boolean":
		return false
	}
	return nil
}

// fillUnion prefers a value to null, except when it is time to stop.
func (e *evidence) fillUnion(root map[string]any, options []any, name string, depth int) any {
	for _, o := range options {
		m, _ := o.(map[string]any)
		isNull := slices.Equal(typesOf(m), []string{"null"})
		if isNull == (depth > 8) {
			return e.fill(root, m, name, depth)
		}
	}
	m, _ := options[0].(map[string]any)
	return e.fill(root, m, name, depth)
}

// fillObject goes by sorted names, so that the same request gets the same answer.
func (e *evidence) fillObject(root, n map[string]any, depth int) any {
	out := map[string]any{}
	properties, _ := n["properties"].(map[string]any)
	for _, key := range slices.Sorted(maps.Keys(properties)) {
		m, _ := properties[key].(map[string]any)
		out[key] = e.fill(root, m, key, depth+1)
	}
	return out
}

// fillArray gives two items, or up to three ids, within the bounds.
func (e *evidence) fillArray(root, n map[string]any, name string, depth int) any {
	items, _ := n["items"].(map[string]any)
	count := 2
	if idField.MatchString(name) && slices.Contains(typesOf(items), "string") {
		count = min(3, len(e.ids))
	}
	if limit, ok := n["maxItems"].(float64); ok {
		count = min(count, int(limit))
	}
	if depth > 6 {
		count = 0
	}
	if least, ok := n["minItems"].(float64); ok {
		count = max(count, int(least))
	}
	out := []any{}
	for range count {
		out = append(out, e.fill(root, items, strings.TrimSuffix(name, "s"), depth+1))
	}
	return out
}

// samples satisfy the formats strict mode knows.
var samples = map[string]string{
	"date-time": "2026-01-02T03:04:05Z", "time": "03:04:05Z", "date": "2026-01-02", "duration": "PT1H",
	"email": "nobody@example.com", "hostname": "host.example", "ipv4": "192.0.2.1", "ipv6": "2001:db8::1",
	"uuid": "00000000-0000-4000-8000-000000000000",
}

// fillString chooses by format first, then by the property's name.
func (e *evidence) fillString(n map[string]any, name string) any {
	if f, ok := n["format"].(string); ok {
		return samples[f]
	}
	switch {
	case idField.MatchString(name) && len(e.ids) > 0:
		id := e.ids[e.nextID%len(e.ids)]
		e.nextID++
		return id
	case hostKey.MatchString(name) && len(e.hosts) > 0:
		return e.hosts[0]
	}
	return e.sentence()
}

// fillNumber picks one half, or what is nearest to it within the bounds.
func fillNumber(n map[string]any, integer bool) any {
	v := 0.5
	if integer {
		v = 1
	}
	if low, ok := n["minimum"].(float64); ok {
		v = max(v, low)
	}
	if low, ok := n["exclusiveMinimum"].(float64); ok && v <= low {
		v = low + 1
	}
	if high, ok := n["maximum"].(float64); ok {
		v = min(v, high)
	}
	if high, ok := n["exclusiveMaximum"].(float64); ok && v >= high {
		v = high - 1
	}
	if step, ok := n["multipleOf"].(float64); ok && step > 0 {
		v = step * float64(int((v+step-1e-9)/step))
	}
	if integer {
		return int(v)
	}
	return v
}

// invent adds hosts, addresses, ids and links to every free text of an answer.
func invent(content string, schema map[string]any) string {
	var v any
	if json.Unmarshal([]byte(content), &v) != nil {
		return content + inventedText()
	}
	return mustJSON(inventIn(v, schema, schema))
}

func inventedText() string {
	return fmt.Sprintf(" Restart %s (%s) as in %s, see %s.", InventedHost, InventedAddress, InventedTicket, InventedLink)
}

// inventIn leaves enumerated values alone: the answer stays valid and only its claims
// are false, which is what a validator cannot catch.
func inventIn(v any, root, n map[string]any) any {
	if ref, ok := n["$ref"].(string); ok {
		n = resolve(root, ref)
	}
	if n["enum"] != nil || n["const"] != nil {
		return v
	}
	switch v := v.(type) {
	case map[string]any:
		properties, _ := n["properties"].(map[string]any)
		for key, value := range v {
			m, _ := properties[key].(map[string]any)
			v[key] = inventIn(value, root, m)
		}
	case []any:
		items, _ := n["items"].(map[string]any)
		for i := range v {
			v[i] = inventIn(v[i], root, items)
		}
	case string:
		if strings.Contains(v, " ") {
			return v + inventedText()
		}
		return InventedTicket
	}
	return v
}

// listsAsText turns every list of an answer into one string.
func listsAsText(content string) string {
	var v any
	if json.Unmarshal([]byte(content), &v) != nil {
		return content
	}
	return mustJSON(flatten(v))
}

func flatten(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			v[key] = flatten(value)
		}
	case []any:
		var parts []string
		for _, item := range v {
			parts = append(parts, fmt.Sprint(item))
		}
		return strings.Join(parts, ", ")
	}
	return v
}
