package docsearch

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"aiagents/internal/fault"
)

// Config is one provider in a tenant's preferences.
type Config struct {
	// Kind is one of http, confluence_cloud, confluence (Data Center), itglue, hudu.
	Kind string `json:"kind"`
	// Name is what the note calls it; default is the product's name.
	Name string `json:"name,omitempty"`
	// BaseURL is where it lives, such as https://acme.atlassian.net or https://acme.huducloud.com. IT Glue's default is
	// https://api.itglue.com.
	BaseURL string `json:"base_url,omitempty"`
	// AuthRef names the secret: a bearer token (http, confluence), email:token (confluence_cloud) or an API key (itglue,
	// hudu). It is never the secret itself. The key should have no access to passwords; none are asked for.
	AuthRef string `json:"auth_ref"`
	// Spaces restrict a Confluence to some of its spaces, by key.
	Spaces []string `json:"spaces,omitempty"`
	// OrganizationID is the IT Glue organization, and CompanyID the Hudu company, that this tenant is. Required there: such a
	// server holds the documents of other customers too.
	OrganizationID string `json:"organization_id,omitempty"`
	CompanyID      string `json:"company_id,omitempty"`
}

// Secrets returns the secret of a name. It is asked once for each credential when the providers are opened.
type Secrets func(name string) (string, error)

// kind is what sets the providers apart.
type kind struct {
	title   string
	base    string
	path    string // below the base address, unless it is there already
	headers func(secret string) (http.Header, error)
	make    func(source, Config) Provider
}

var kinds = map[string]kind{
	"http": {title: "Documentation", headers: bearer, make: func(s source, _ Config) Provider { return &generic{s} }},
	"confluence_cloud": {title: "Confluence", path: "/wiki", headers: basic, make: func(s source, c Config) Provider {
		return &confluenceCloud{source: s, spaces: c.Spaces}
	}},
	"confluence": {title: "Confluence", headers: bearer, make: func(s source, c Config) Provider {
		return &confluence{source: s, spaces: c.Spaces}
	}},
	"itglue": {title: "IT Glue", base: "https://api.itglue.com", headers: jsonAPIKey, make: func(s source, c Config) Provider {
		return &itGlue{source: s, organization: c.OrganizationID}
	}},
	"hudu": {title: "Hudu", headers: apiKey, make: func(s source, c Config) Provider { return &hudu{source: s, company: c.CompanyID} }},
}

// Open makes the providers of a tenant from its preferences: {"providers": [Config, …]}; nothing and null mean none. All
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
		return nil, fault.Newf(fault.Invalid, "documentation: expected {\"providers\": [...]}: %v", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, fault.New(fault.Invalid, "documentation: expected one object and nothing after it")
	}
	var providers []Provider
	var faults []string
	for i, c := range preferences.Providers {
		p, err := c.open(secrets, httpClient)
		if err != nil {
			faults = append(faults, fmt.Sprintf("documentation.providers[%d]: %v", i, err))
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
	k, ok := kinds[c.Kind]
	if !ok {
		return nil, fmt.Errorf("kind %q: must be one of http, confluence_cloud, confluence, itglue, hudu", c.Kind)
	}
	if err := c.validate(); err != nil {
		return nil, err
	}
	base, err := parseBase(cmp.Or(c.BaseURL, k.base))
	if err != nil {
		return nil, err
	}
	if k.path != "" && !strings.HasSuffix(strings.TrimSuffix(base.Path, "/"), k.path) {
		base = base.JoinPath(k.path)
	}
	value, err := secret(secrets, c.AuthRef)
	if err != nil {
		return nil, err
	}
	header, err := k.headers(value)
	if err != nil {
		return nil, err
	}
	return k.make(source{kind: c.Kind, name: cmp.Or(c.Name, k.title), key: c.key(), client: newClient(httpClient, base, header)}, c), nil
}

// key is a hash of the configuration, which holds no secret.
func (c Config) key() string {
	raw, _ := json.Marshal(c) // strings only
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

var (
	spaceKey = regexp.MustCompile(`^[A-Za-z0-9~._-]{1,255}$`)
	digits   = regexp.MustCompile(`^[0-9]{1,20}$`)
)

func (c Config) validate() error {
	switch confluence := strings.HasPrefix(c.Kind, "confluence"); {
	case len(c.Spaces) > 0 && !confluence:
		return errors.New("spaces: are for confluence")
	case c.Kind == "itglue" && !digits.MatchString(c.OrganizationID):
		return errors.New("organization_id: must be the number of the IT Glue organization that this tenant is")
	case c.Kind == "hudu" && !digits.MatchString(c.CompanyID):
		return errors.New("company_id: must be the number of the Hudu company that this tenant is")
	case c.Kind != "itglue" && c.OrganizationID != "", c.Kind != "hudu" && c.CompanyID != "":
		return errors.New("organization_id is for itglue, and company_id for hudu")
	}
	for _, s := range c.Spaces {
		if !spaceKey.MatchString(s) {
			return fmt.Errorf("spaces: %q is no key of a space", s)
		}
	}
	return nil
}

func parseBase(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	// The text is not repeated: it may hold a password.
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" {
		return nil, errors.New("base_url: must be an address such as https://docs.example")
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("base_url: must have no user, query or fragment")
	}
	if u.Path == "" {
		u.Path = "/"
	}
	return u, nil
}

func secret(secrets Secrets, name string) (string, error) {
	if name == "" {
		return "", errors.New("auth_ref: is missing")
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

func bearer(secret string) (http.Header, error) {
	return http.Header{"Authorization": {"Bearer " + secret}}, nil
}

func basic(secret string) (http.Header, error) {
	if user, token, ok := strings.Cut(secret, ":"); !ok || user == "" || token == "" {
		return nil, errors.New("auth_ref: must be email:token")
	}
	return http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(secret))}}, nil
}

func apiKey(secret string) (http.Header, error) {
	return http.Header{"X-Api-Key": {secret}}, nil
}

func jsonAPIKey(secret string) (http.Header, error) {
	const jsonAPI = "application/vnd.api+json"
	return http.Header{"X-Api-Key": {secret}, "Content-Type": {jsonAPI}, "Accept": {jsonAPI}}, nil
}

// source is what all providers have.
type source struct {
	kind   string
	name   string
	key    string
	client client
}

// Name is what the note calls the provider.
func (s source) Name() string { return s.name }

// Key identifies the configuration.
func (s source) Key() string { return s.key }
