package openai

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// The limits of strict structured outputs.
const (
	maxDepth      = 10
	maxProperties = 5000
	maxEnum       = 1000
	maxNames      = 120_000
)

// permitted are the keywords strict mode takes. Notably missing: minLength,
// maxLength, uniqueItems, default, oneOf, allOf, not, if, patternProperties.
var permitted = []string{
	"$defs", "definitions", "$ref", "$schema", "additionalProperties", "anyOf", "const", "description", "enum",
	"exclusiveMaximum", "exclusiveMinimum", "format", "items", "maxItems", "maximum", "minItems", "minimum",
	"multipleOf", "pattern", "properties", "required", "title", "type",
}

var formats = []string{"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"}

var types = []string{"string", "number", "integer", "boolean", "object", "array", "null"}

// CheckStrict tells why strict mode refuses a schema, given as JSON text or as any
// value that marshals to it; "" when it does not.
func CheckStrict(schema any) string {
	v, err := decoded(schema)
	if err != nil {
		return "schema is not JSON: " + err.Error()
	}
	return checkStrict(v)
}

// decoded normalises by way of JSON, so that []string and []any are the same.
func decoded(schema any) (map[string]any, error) {
	raw, isText := schema.(string)
	if !isText {
		b, err := json.Marshal(schema)
		if err != nil {
			return nil, err
		}
		raw = string(b)
	}
	var v map[string]any
	err := json.Unmarshal([]byte(raw), &v)
	return v, err
}

// checkStrict checks the root, which has rules of its own, and then every node.
func checkStrict(schema map[string]any) string {
	if schema == nil {
		return "schema must be a JSON Schema of 'type: \"object\"', got none."
	}
	if schema["type"] != "object" {
		return fmt.Sprintf("schema must be a JSON Schema of 'type: \"object\"', got 'type: \"%v\"'.", schema["type"])
	}
	if _, has := schema["anyOf"]; has {
		return "root schema must not be an 'anyOf'."
	}
	c := &checker{root: schema}
	if why := c.node(schema, nil, 1); why != "" {
		return why
	}
	if c.properties > maxProperties {
		return fmt.Sprintf("more than %d properties.", maxProperties)
	}
	if c.names > maxNames {
		return fmt.Sprintf("names and values longer than %d characters together.", maxNames)
	}
	return ""
}

// checker counts what the whole schema may have only so much of.
type checker struct {
	root              map[string]any
	properties, names int
}

// at words a complaint with the place, as the real API does.
func (c *checker) at(path []string, format string, args ...any) string {
	context := "()"
	if len(path) > 0 {
		context = "(" + quoted(path) + ")"
	}
	return fmt.Sprintf("In context=%s, ", context) + fmt.Sprintf(format, args...)
}

// node checks one schema; references are checked where they are defined.
func (c *checker) node(n map[string]any, path []string, depth int) string {
	if depth > maxDepth {
		return c.at(path, "more than %d levels of nesting.", maxDepth)
	}
	for _, key := range slices.Sorted(maps.Keys(n)) {
		if !slices.Contains(permitted, key) {
			return c.at(path, "'%s' is not permitted.", key)
		}
	}
	if ref, ok := n["$ref"].(string); ok {
		if resolve(c.root, ref) == nil {
			return c.at(path, "reference '%s' cannot be resolved.", ref)
		}
		return ""
	}
	if why := c.values(n, path); why != "" {
		return why
	}
	for _, check := range []func(map[string]any, []string, int) string{c.object, c.array, c.union, c.definitions} {
		if why := check(n, path, depth); why != "" {
			return why
		}
	}
	return ""
}

// values checks enum, format and type.
func (c *checker) values(n map[string]any, path []string) string {
	if enum, ok := n["enum"].([]any); ok {
		if len(enum) == 0 || len(enum) > maxEnum {
			return c.at(path, "'enum' must have between 1 and %d values.", maxEnum)
		}
		for _, v := range enum {
			s, _ := v.(string)
			c.names += len(s)
		}
	} else if _, has := n["enum"]; has {
		return c.at(path, "'enum' must be an array.")
	}
	if f, ok := n["format"].(string); ok && !slices.Contains(formats, f) {
		return c.at(path, "'%s' is not a valid format.", f)
	}
	_, isUnion := n["anyOf"]
	_, isConst := n["const"]
	_, isEnum := n["enum"]
	known := typesOf(n)
	if len(known) == 0 && !isUnion && !isConst && !isEnum {
		return c.at(path, "schema must have a 'type' key.")
	}
	for _, t := range known {
		if !slices.Contains(types, t) {
			return c.at(path, "'%s' is not a valid type.", t)
		}
	}
	return ""
}

// object wants every property required and no others allowed; optional ones are
// expressed as nullable.
func (c *checker) object(n map[string]any, path []string, depth int) string {
	if !slices.Contains(typesOf(n), "object") {
		return ""
	}
	if n["additionalProperties"] != false {
		return c.at(path, "'additionalProperties' is required to be supplied and to be false.")
	}
	properties, _ := n["properties"].(map[string]any)
	required, isArray := n["required"].([]any)
	if !isArray && len(properties) > 0 {
		return c.at(path, "'required' is required to be supplied and to be an array including every key in properties.")
	}
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		if !slices.Contains(required, any(name)) {
			return c.at(path, "'required' is required to be supplied and to be an array including every key in properties. Missing '%s'.", name)
		}
	}
	for _, r := range required {
		if name, _ := r.(string); properties[name] == nil {
			return c.at(path, "'required' names '%v', which is not in properties.", r)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		c.properties++
		c.names += len(name)
		if why := c.child(properties[name], append(slices.Clone(path), "properties", name), depth+1); why != "" {
			return why
		}
	}
	return ""
}

func (c *checker) array(n map[string]any, path []string, depth int) string {
	if !slices.Contains(typesOf(n), "array") {
		return ""
	}
	if n["items"] == nil {
		return c.at(path, "array schema missing items.")
	}
	return c.child(n["items"], append(slices.Clone(path), "items"), depth+1)
}

func (c *checker) union(n map[string]any, path []string, depth int) string {
	options, _ := n["anyOf"].([]any)
	for i, o := range options {
		if why := c.child(o, append(slices.Clone(path), "anyOf", fmt.Sprint(i)), depth); why != "" {
			return why
		}
	}
	return ""
}

// definitions start counting depth anew, since nesting counts from where they are used.
func (c *checker) definitions(n map[string]any, path []string, _ int) string {
	for _, key := range []string{"$defs", "definitions"} {
		defs, _ := n[key].(map[string]any)
		for _, name := range slices.Sorted(maps.Keys(defs)) {
			c.names += len(name)
			if why := c.child(defs[name], append(slices.Clone(path), key, name), 1); why != "" {
				return why
			}
		}
	}
	return ""
}

func (c *checker) child(v any, path []string, depth int) string {
	n, ok := v.(map[string]any)
	if !ok {
		return c.at(path, "schema must be an object.")
	}
	return c.node(n, path, depth)
}

// typesOf reads "type", which is one name or several.
func typesOf(n map[string]any) []string {
	switch t := n["type"].(type) {
	case string:
		return []string{t}
	case []any:
		var out []string
		for _, v := range t {
			out = append(out, fmt.Sprint(v))
		}
		return out
	}
	return nil
}

// resolve follows a local reference such as #/$defs/step; nil if it leads nowhere.
func resolve(root map[string]any, ref string) map[string]any {
	path, ok := strings.CutPrefix(ref, "#")
	if !ok {
		return nil
	}
	at := root
	for _, part := range strings.Split(strings.Trim(path, "/"), "/") {
		if part == "" {
			continue
		}
		next, ok := at[part].(map[string]any)
		if !ok {
			return nil
		}
		at = next
	}
	return at
}
