package monitoring

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"aiagents/internal/fault"
)

// Config is one provider in a tenant's preferences.
type Config struct {
	// Kind is one of prometheus, alertmanager, zabbix, datadog.
	Kind string `json:"kind"`
	// Name is what the note calls it; default is the kind.
	Name string `json:"name,omitempty"`
	// BaseURL is where the API lives, such as https://prometheus.example or https://zabbix.example/zabbix. Datadog's default is
	// https://api.datadoghq.com.
	BaseURL string `json:"base_url,omitempty"`
	// LinkURL is where people reach it, if elsewhere.
	LinkURL string `json:"link_url,omitempty"`
	// Auth is bearer (default), basic (the secret is user:password) or none. Prometheus and Alertmanager only.
	Auth string `json:"auth,omitempty"`
	// AuthRef names the secret: a token, user:password, or Datadog's API key. It is never the secret itself: preferences are
	// stored and shown as they are.
	AuthRef string `json:"auth_ref,omitempty"`
	// AppAuthRef names the secret with Datadog's application key.
	AppAuthRef string `json:"app_auth_ref,omitempty"`
	// OrgID is sent as X-Scope-OrgID, by which Mimir, Cortex and Loki tell tenants apart.
	OrgID string `json:"org_id,omitempty"`
	// Labels restrict a Prometheus or Alertmanager that several customers share to one of them, such as {"customer": "acme"}.
	Labels map[string]string `json:"labels,omitempty"`
	// HostLabel is the label by which Prometheus names hosts; default is instance.
	HostLabel string `json:"host_label,omitempty"`
	// NearInTime also reports what happened near in time to other hosts. Set it only where all hosts of the server
	// belong to this tenant.
	NearInTime bool `json:"near_in_time,omitempty"`
	// Queries are asked beside the alerts, per role of the hosts. Prometheus and Datadog only.
	Queries []Query `json:"queries,omitempty"`
}

// Secrets returns the secret of a name. It is asked once for each credential when the providers are opened.
type Secrets func(name string) (string, error)

// Open makes the providers of a tenant from its preferences, {"providers": [Config, …]}; nothing and null mean none. All
// faults of the configuration are named at once. Requests go through the given client, whose limits on addresses hold.
func Open(raw json.RawMessage, secrets Secrets, httpClient *http.Client) ([]Provider, error) {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	var preferences struct {
		Providers []Config `json:"providers"`
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&preferences); err != nil {
		return nil, fault.Newf(fault.Invalid, "monitoring: expected {\"providers\": [...]}: %v", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, fault.New(fault.Invalid, "monitoring: expected one object and nothing after it")
	}
	var providers []Provider
	var faults []string
	for i, c := range preferences.Providers {
		p, err := c.open(secrets, httpClient)
		if err != nil {
			faults = append(faults, fmt.Sprintf("monitoring.providers[%d]: %v", i, err))
			continue
		}
		providers = append(providers, p)
	}
	if len(faults) > 0 {
		return nil, fault.New(fault.Invalid, strings.Join(faults, "; "))
	}
	return providers, nil
}

func (c Config) open(secrets Secrets, httpClient *http.Client) (Provider, error) {
	kinds := []string{"prometheus", "alertmanager", "zabbix", "datadog"}
	if !slices.Contains(kinds, c.Kind) {
		return nil, fmt.Errorf("kind %q: must be one of %s", c.Kind, strings.Join(kinds, ", "))
	}
	c.Name = cmp.Or(c.Name, strings.ToUpper(c.Kind[:1])+c.Kind[1:])
	if c.Kind == "datadog" {
		c.BaseURL = cmp.Or(c.BaseURL, "https://api.datadoghq.com")
	}
	base, err := parseBase("base_url", c.BaseURL)
	if err != nil {
		return nil, err
	}
	link := base
	if c.LinkURL != "" {
		if link, err = parseBase("link_url", c.LinkURL); err != nil {
			return nil, err
		}
	}
	if err := c.validate(); err != nil {
		return nil, err
	}
	header, err := c.headers(secrets)
	if err != nil {
		return nil, err
	}
	s := server{name: c.Name, client: newClient(httpClient, base, header), link: link, nearInTime: c.NearInTime}
	switch c.Kind {
	case "prometheus":
		return &prometheus{server: s, labels: c.Labels, hostLabel: cmp.Or(c.HostLabel, "instance"), queries: c.Queries}, nil
	case "alertmanager":
		return &alertmanager{server: s, labels: c.Labels}, nil
	case "zabbix":
		return &zabbix{server: s}, nil
	default:
		if c.LinkURL == "" {
			s.link = datadogSite(base)
		}
		return &datadog{server: s, queries: c.Queries}, nil
	}
}

// server is what all providers have.
type server struct {
	name       string
	client     client
	link       *url.URL
	nearInTime bool
}

// Name is what the note calls the provider.
func (s server) Name() string { return s.name }

// idle reports whether there is nothing to ask.
func (s server) idle(req Request) bool { return len(req.Hosts) == 0 && !s.nearInTime }

func parseBase(field, text string) (*url.URL, error) {
	u, err := url.Parse(text)
	// The text is not repeated: it may hold a password.
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" {
		return nil, fmt.Errorf("%s: must be an address such as https://monitoring.example", field)
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("%s: must have no user, query or fragment", field)
	}
	if u.Path == "" {
		u.Path = "/"
	}
	return u, nil
}

var labelName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// validate checks what the kind allows, and compiles the queries.
func (c Config) validate() error {
	shared := c.Kind == "prometheus" || c.Kind == "alertmanager"
	if !shared && (len(c.Labels) > 0 || c.OrgID != "" || c.Auth != "") {
		return errors.New("labels, org_id and auth: are for prometheus and alertmanager")
	}
	if !slices.Contains([]string{"", "bearer", "basic", "none"}, c.Auth) {
		return fmt.Errorf("auth %q: must be bearer, basic or none", c.Auth)
	}
	for name := range c.Labels {
		if !labelName.MatchString(name) {
			return fmt.Errorf("labels: %q is no label", name)
		}
	}
	if c.HostLabel != "" && !labelName.MatchString(c.HostLabel) {
		return fmt.Errorf("host_label: %q is no label", c.HostLabel)
	}
	if len(c.Queries) > 0 && c.Kind != "prometheus" && c.Kind != "datadog" {
		return errors.New("queries: are for prometheus and datadog")
	}
	for i := range c.Queries {
		if err := c.Queries[i].compile(c.Kind); err != nil {
			return fmt.Errorf("queries[%d]: %w", i, err)
		}
	}
	return nil
}

func (c Config) headers(secrets Secrets) (http.Header, error) {
	header := http.Header{}
	if c.OrgID != "" {
		header.Set("X-Scope-OrgID", c.OrgID)
	}
	if c.Kind == "datadog" {
		for name, ref := range map[string]string{"DD-API-KEY": c.AuthRef, "DD-APPLICATION-KEY": c.AppAuthRef} {
			value, err := secret(secrets, ref)
			if err != nil {
				return nil, err
			}
			header.Set(name, value)
		}
		return header, nil
	}
	if c.Auth == "none" || c.Kind != "zabbix" && c.Auth == "" && c.AuthRef == "" {
		return header, nil
	}
	value, err := secret(secrets, c.AuthRef)
	if err != nil {
		return nil, err
	}
	if c.Auth == "basic" {
		header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(value)))
	} else {
		header.Set("Authorization", "Bearer "+value)
	}
	return header, nil
}

func secret(secrets Secrets, name string) (string, error) {
	if name == "" {
		return "", errors.New("auth_ref: is missing (or app_auth_ref, which datadog needs too)")
	}
	value, err := secrets(name)
	if err != nil {
		return "", fmt.Errorf("auth_ref %q: %w", name, err)
	}
	value = strings.TrimSpace(value)
	if value == "" || strings.ContainsAny(value, "\r\n") {
		return "", fmt.Errorf("auth_ref %q: is empty or has several lines", name)
	}
	return value, nil
}
