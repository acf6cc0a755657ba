package servicedesk

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// kind is the type a JSON value must have.
type kind int

const (
	anything kind = iota
	text
	boolean
	lookup // {"id":…} or {"name":…}, with further known keys, or null
	object
	date // {"value":"<epoch milliseconds>"}
	list
)

type field struct {
	kind     kind
	required bool
	max      int // characters
	fields   schema
}

// schema lists the keys an object may have. A key that is not listed is refused,
// which is how the desk treats speculative fields.
type schema map[string]field

// check reports the first problem: unknown keys before missing ones, since a wrong
// envelope is both and the desk complains of the key.
func (s schema) check(path string, v map[string]any) *problem {
	for key := range v {
		if _, known := s[key]; !known {
			return extraKey(path + key)
		}
	}
	for key, f := range s {
		value, sent := v[key]
		if !sent || value == nil || value == "" {
			if f.required {
				return missing(path + key)
			}
			if !sent || f.kind == lookup || f.kind == anything {
				continue
			}
		}
		if p := f.check(path+key, value); p != nil {
			return p
		}
	}
	return nil
}

// check compares one value with its field; objects are checked all the way down.
func (f field) check(path string, value any) *problem {
	switch f.kind {
	case text:
		s, ok := value.(string)
		if !ok {
			return wrongType(path, "string")
		}
		if f.max > 0 && len([]rune(s)) > f.max {
			return invalid(path, "Longer than "+strconv.Itoa(f.max)+" characters")
		}
	case boolean:
		if _, ok := value.(bool); !ok {
			return wrongType(path, "boolean")
		}
	case list:
		if _, ok := value.([]any); !ok {
			return wrongType(path, "array")
		}
	case lookup, object, date:
		m, ok := value.(map[string]any)
		if !ok {
			return wrongType(path, "object")
		}
		return f.nested().check(path+".", m)
	}
	return nil
}

// nested is the schema of an object's keys; lookups and dates bring their own.
func (f field) nested() schema {
	switch f.kind {
	case lookup:
		s := schema{"id": {kind: text}, "name": {kind: text}}
		for k, v := range f.fields {
			s[k] = v
		}
		return s
	case date:
		return schema{"value": {kind: text, required: true}, "display_value": {kind: text}}
	}
	return f.fields
}

// inputData decodes the input_data parameter; without one the map is nil.
func (c *call) inputData() (map[string]any, *problem) {
	raw := c.form["input_data"]
	if len(raw) == 0 {
		return nil, nil
	}
	if len(raw) > 1 {
		return nil, invalid("input_data", "Given more than once")
	}
	dec := json.NewDecoder(strings.NewReader(raw[0]))
	dec.UseNumber()
	var v map[string]any
	if err := dec.Decode(&v); err != nil || v == nil {
		return nil, invalid("input_data", "Not a JSON object")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, invalid("input_data", "Not a JSON object")
	}
	return v, nil
}

// input reads {"<key>":{…}} from a write and checks it against the schema.
func (c *call) input(key string, s schema) (map[string]any, *problem) {
	v, p := c.inputData()
	if p != nil {
		return nil, p
	}
	if v == nil {
		return nil, missing("input_data")
	}
	if p := (schema{key: {kind: object, required: true, fields: s}}).check("", v); p != nil {
		return nil, p
	}
	return v[key].(map[string]any), nil
}

// str and flag read values that were checked already; absent ones are zero.
func str(v any) string {
	s, _ := v.(string)
	return s
}

func flag(v any) bool {
	b, _ := v.(bool)
	return b
}

// nameOf reads a lookup that may be given by name or id.
func nameOf(v any) string {
	m, _ := v.(map[string]any)
	if n := str(m["name"]); n != "" {
		return n
	}
	return str(m["id"])
}

var accountRoutes = []*route{on("GET", "account", AccountsList, (*Desk).listAccounts)}

// listAccounts is the legacy call, the only one that lists an MSP's customers.
func (d *Desk) listAccounts(c *call) *reply {
	if c.form.Get("format") != "json" {
		return htmlReply(http.StatusBadRequest, "Only format=json is supported")
	}
	details := []any{}
	for _, a := range d.opts.Accounts {
		if c.tech.sees(a.ID) {
			details = append(details, map[string]any{"AccountId": a.ID, "AccountName": a.Name})
		}
	}
	return jsonReply(http.StatusOK, map[string]any{"operation": map[string]any{
		"result":  map[string]any{"status": "Success", "message": "Accounts fetched"},
		"details": details,
	}})
}
