package app

import (
	"encoding"
	"fmt"
	"os"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// envPrefix starts the name of every variable of ours.
const envPrefix = "AI_AGENTS_"

// setting is one leaf of the configuration with its two names.
type setting struct {
	key   string // as in YAML: http.addr
	env   string // without the prefix: HTTP_ADDR
	value reflect.Value
}

// settings lists every leaf. A variable is named after its key, or as the env tag says where a shorter name is usual.
func settings(cfg *Config) []setting {
	var all []setting
	walk(reflect.ValueOf(cfg).Elem(), "", &all)
	return all
}

func walk(v reflect.Value, path string, all *[]setting) {
	for i := range v.NumField() {
		field, value := v.Type().Field(i), v.Field(i)
		name, options, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		key := path + name
		switch {
		case name == "-": // follows from other settings
		case options == "inline":
			walk(value, path, all)
		case isLeaf(value):
			env := field.Tag.Get("env")
			if env == "" {
				env = strings.ToUpper(strings.NewReplacer(".", "_").Replace(key))
			}
			*all = append(*all, setting{key: key, env: env, value: value})
		default:
			walk(value, key+".", all)
		}
	}
}

func isLeaf(v reflect.Value) bool {
	if _, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return true
	}
	return v.Kind() != reflect.Struct
}

// applyEnvironment sets every leaf that has a variable: NAME holds the value, NAME_FILE the path of a file with it.
func applyEnvironment(cfg *Config, environ []string) []string {
	vars := map[string]string{}
	for _, entry := range environ {
		if name, value, ok := strings.Cut(entry, "="); ok && strings.HasPrefix(name, envPrefix) {
			vars[strings.TrimPrefix(name, envPrefix)] = value
		}
	}
	var faults []string
	for _, s := range settings(cfg) {
		text, ok := vars[s.env]
		if file, fromFile := vars[s.env+"_FILE"]; fromFile && file != "" {
			if ok && text != "" {
				faults = append(faults, fmt.Sprintf("%s%s and %s%s_FILE are both set: keep one", envPrefix, s.env, envPrefix, s.env))
				continue
			}
			content, err := os.ReadFile(file)
			if err != nil {
				faults = append(faults, fmt.Sprintf("%s%s_FILE: %v", envPrefix, s.env, err))
				continue
			}
			text, ok = strings.TrimRight(string(content), "\r\n"), true
		}
		// An empty variable counts as not set: templates leave such ones behind.
		if !ok || text == "" {
			continue
		}
		if err := setValue(s.value, text); err != nil {
			faults = append(faults, fmt.Sprintf("%s%s: %v", envPrefix, s.env, err))
		}
	}
	return faults
}

func setValue(v reflect.Value, text string) error {
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return u.UnmarshalText([]byte(text))
	}
	if v.Type() == reflect.TypeFor[time.Duration]() {
		d, err := time.ParseDuration(text)
		if err != nil {
			return fmt.Errorf("must be a duration such as 30s or 5m, is %q", text)
		}
		v.SetInt(int64(d))
		return nil
	}
	switch v.Kind() { // the default names every kind that the configuration does not use
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("must be true or false, is %q", text)
		}
		v.SetBool(b)
	case reflect.Int, reflect.Int32, reflect.Int64:
		n, err := strconv.ParseInt(text, 10, v.Type().Bits())
		if err != nil {
			return fmt.Errorf("must be a whole number, is %q", text)
		}
		v.SetInt(n)
	case reflect.Float64:
		n, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return fmt.Errorf("must be a number, is %q", text)
		}
		v.SetFloat(n)
	case reflect.Slice:
		var list []string
		for _, part := range strings.Split(text, ",") {
			if part = strings.TrimSpace(part); part != "" {
				list = append(list, part)
			}
		}
		v.Set(reflect.ValueOf(list))
	default:
		return fmt.Errorf("settings of kind %s cannot come from the environment", v.Kind())
	}
	return nil
}
