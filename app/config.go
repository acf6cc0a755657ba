package app

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"aiagents/app/housekeeping"
	"aiagents/db"
	"aiagents/internal/fault"
	"aiagents/internal/keyring"
	"aiagents/internal/secret"
	"aiagents/modules/enhancement"
	"aiagents/modules/enhancement/feed"
	"aiagents/modules/enhancement/retrieval"
	"aiagents/modules/notifier"
	"aiagents/modules/tenant"
	"aiagents/modules/webhook"
)

// The environments. Development is the only one that starts a database of its own and talks to loopback.
const (
	development = "development"
	staging     = "staging"
	production  = "production"
)

// Config is everything that can be set. Precedence: defaults, then the YAML file, then AI_AGENTS_* variables, then flags.
type Config struct {
	Environment string             `yaml:"environment"`
	DataDir     string             `yaml:"data_dir"`
	Database    DatabaseConfig     `yaml:"database"`
	HTTP        HTTPConfig         `yaml:"http"`
	Ops         OpsConfig          `yaml:"ops"`
	Encryption  EncryptionConfig   `yaml:"encryption"`
	OpenAI      OpenAIConfig       `yaml:"openai"`
	Log         LogConfig          `yaml:"log"`
	Telemetry   TelemetryConfig    `yaml:"telemetry"`
	Worker      WorkerConfig       `yaml:"worker"`
	Egress      EgressConfig       `yaml:"egress"`
	Tenant      tenant.Config      `yaml:"tenant"`
	Webhook     webhook.Config     `yaml:"webhook"`
	Enhancement enhancement.Config `yaml:"enhancement"`
	Retrieval   retrieval.Config   `yaml:"retrieval"`
	Feed        feed.Config        `yaml:"feed"`
	Notifier    notifier.Config    `yaml:"notifier"`

	Housekeeping housekeeping.Config `yaml:"housekeeping"`
}

// DatabaseConfig says where Postgres is and how much of it to use.
type DatabaseConfig struct {
	URL          secret.Secret `yaml:"url" env:"DATABASE_URL"`
	MigrationURL secret.Secret `yaml:"migration_url" env:"MIGRATION_DATABASE_URL"`
	db.Config    `yaml:",inline"`
}

// HTTPConfig is the public server: webhooks and health.
type HTTPConfig struct {
	Addr string `yaml:"addr"`
	// TrustedProxies are the ranges of proxies whose X-Forwarded-For is believed.
	TrustedProxies []string `yaml:"trusted_proxies"`
	// MaxConnections bounds how many senders are connected at once.
	MaxConnections int `yaml:"max_connections"`
	// ShutdownDelay is how long a stopping process still takes requests after it reports not ready.
	ShutdownDelay time.Duration `yaml:"shutdown_delay"`
}

// OpsConfig is the operations server: metrics, health, admin API.
type OpsConfig struct {
	Addr       string        `yaml:"addr"`
	AdminToken secret.Secret `yaml:"admin_token" env:"ADMIN_TOKEN"`
}

// EncryptionConfig is the keyring that protects tenants' secrets.
type EncryptionConfig struct {
	Keys secret.Secret `yaml:"keys"`
}

// OpenAIConfig says which model writes the notes. Without a key, notes are facts-only.
type OpenAIConfig struct {
	APIKey         secret.Secret `yaml:"api_key"`
	BaseURL        string        `yaml:"base_url"`
	Model          string        `yaml:"model"`
	FallbackModels []string      `yaml:"fallback_models"`
	Timeout        time.Duration `yaml:"timeout"`
	RetryDelay     time.Duration `yaml:"retry_delay"`
	CAFile         string        `yaml:"ca_file"`
}

// LogConfig is the log, on standard error or in a file that rotates.
type LogConfig struct {
	Level  string `yaml:"level"`
	Format string `yaml:"format"`
	// File takes the log in the place of standard error; empty for none.
	File string `yaml:"file"`
	// MaxMegabytes is the size at which the file is renamed and begun anew, Backups and MaxAge what is kept of the old ones.
	MaxMegabytes int           `yaml:"max_megabytes"`
	Backups      int           `yaml:"backups"`
	MaxAge       time.Duration `yaml:"max_age"`
}

// TelemetryConfig is what metrics and traces may tell, and to whom.
type TelemetryConfig struct {
	// TenantLabel adds series that name the tenant; TenantLimit bounds how many tenants a process names.
	TenantLabel bool `yaml:"tenant_label"`
	TenantLimit int  `yaml:"tenant_limit"`
	// PropagateTo are the hosts that outbound calls hand their trace on to.
	PropagateTo []string `yaml:"propagate_to"`
	// TraceRatio is the share of ordinary traces that is exported; errors and what is slower than TraceSlow always are.
	TraceRatio float64       `yaml:"trace_ratio"`
	TraceSlow  time.Duration `yaml:"trace_slow"`
}

// WorkerConfig is the work role.
type WorkerConfig struct {
	Concurrency int `yaml:"concurrency"`
	// SoftStop is how long running jobs may finish on SIGTERM before they are given back.
	SoftStop time.Duration `yaml:"soft_stop"`
	// Heartbeat is how often a worker says that it lives; silent for four beats, its jobs go to others.
	Heartbeat time.Duration `yaml:"heartbeat"`
}

// EgressConfig says which private ranges tenants' desks may live in.
type EgressConfig struct {
	AllowCIDRs []string `yaml:"allow_cidrs"`
	CAFile     string   `yaml:"ca_file"`
}

// defaultConfig is a development set-up that needs nothing.
func defaultConfig() Config {
	return Config{
		Environment: development,
		Database:    DatabaseConfig{Config: db.DefaultConfig()},
		HTTP:        HTTPConfig{Addr: ":8000", MaxConnections: 4096, ShutdownDelay: 3 * time.Second},
		Ops:         OpsConfig{Addr: ":8081"},
		OpenAI: OpenAIConfig{
			BaseURL: "https://api.openai.com/v1", Model: "gpt-4o-mini",
			Timeout: 30 * time.Second, RetryDelay: 5 * time.Second,
		},
		Log:         LogConfig{Level: "info", Format: "json", MaxMegabytes: 100, Backups: 5, MaxAge: 30 * 24 * time.Hour},
		Telemetry:   TelemetryConfig{TenantLimit: 200, TraceRatio: 0.1, TraceSlow: 30 * time.Second},
		Worker:      WorkerConfig{Concurrency: 50, SoftStop: 40 * time.Second, Heartbeat: 3 * time.Second},
		Tenant:      tenant.DefaultConfig(),
		Webhook:     webhook.DefaultConfig(),
		Enhancement: enhancement.DefaultConfig(),
		Retrieval:   retrieval.DefaultConfig(),
		Feed:        feed.DefaultConfig(),
		Notifier:    notifier.DefaultConfig(),

		Housekeeping: housekeeping.DefaultConfig(),
	}
}

// loadConfig reads file (which may be empty for none) over the defaults, and the environment over both.
func loadConfig(file string, environ []string) (Config, error) {
	return readConfig(file, environ, Config.validateKeysSet)
}

// loadMigrationConfig is loadConfig without the demand for encryption keys: `migrate` moves tables and never opens what the
// keys protect, so its process need not hold them.
func loadMigrationConfig(file string, environ []string) (Config, error) {
	return readConfig(file, environ)
}

func readConfig(file string, environ []string, demands ...func(Config) []string) (Config, error) {
	cfg := defaultConfig()
	if file != "" {
		f, err := os.Open(file)
		if err != nil {
			return cfg, fault.Wrap(fault.Invalid, err, "the configuration file cannot be opened")
		}
		defer func() { _ = f.Close() }() // read only
		d := yaml.NewDecoder(f)
		d.KnownFields(true)
		if err := d.Decode(&cfg); err != nil && !errors.Is(err, io.EOF) {
			return cfg, fault.Newf(fault.Invalid, "the configuration file %s cannot be used: %v", file, err)
		}
	}
	faults := applyEnvironment(&cfg, environ)
	faults = append(faults, cfg.validate()...)
	for _, demand := range demands {
		faults = append(faults, demand(cfg)...)
	}
	if len(faults) > 0 {
		return cfg, fault.New(fault.Invalid, "the configuration has faults:\n  - "+strings.Join(faults, "\n  - "))
	}
	cfg.Tenant.AllowHTTP = cfg.Environment != production
	return cfg, nil
}

func (c Config) development() bool { return c.Environment == development }

// migrationURL is the owner's URL, or the app's where there is only one role.
func (c Config) migrationURL() string {
	if c.Database.MigrationURL.IsSet() {
		return c.Database.MigrationURL.Reveal()
	}
	return c.Database.URL.Reveal()
}

// validate returns every fault at once, each naming the key and the rule.
func (c Config) validate() []string {
	var faults []string
	need := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Sprintf(format, args...))
		}
	}
	need(slices.Contains([]string{development, staging, production}, c.Environment),
		"environment: must be development, staging or production, is %q", c.Environment)
	need(slices.Contains([]string{"debug", "info", "warn", "error"}, c.Log.Level), "log.level: must be debug, info, warn or error, is %q", c.Log.Level)
	need(c.Log.Format == "json" || c.Log.Format == "text", "log.format: must be json or text, is %q", c.Log.Format)
	need(c.Log.MaxMegabytes >= 1, "log.max_megabytes: must be 1 or more")
	need(c.Log.Backups >= 0, "log.backups: must be 0 or more")
	need(c.Log.MaxAge == 0 || c.Log.MaxAge >= 24*time.Hour, "log.max_age: must be 0 (for ever) or 24h or more")
	need(c.Worker.Concurrency >= 1 && c.Worker.Concurrency <= 10_000, "worker.concurrency: must be between 1 and 10000")
	need(c.Worker.SoftStop >= time.Second, "worker.soft_stop: must be 1s or more")
	need(c.Worker.Heartbeat >= 100*time.Millisecond, "worker.heartbeat: must be 100ms or more")
	need(c.HTTP.MaxConnections >= 1, "http.max_connections: must be 1 or more")
	need(c.HTTP.ShutdownDelay >= 0, "http.shutdown_delay: must be 0 or more")
	need(c.OpenAI.Model != "", "openai.model: must be set")
	need(c.OpenAI.Timeout >= time.Second, "openai.timeout: must be 1s or more")
	faults = append(faults, c.Telemetry.validate()...)
	faults = append(faults, validateURLs(c)...)
	faults = append(faults, validateCIDRs("http.trusted_proxies", c.HTTP.TrustedProxies)...)
	faults = append(faults, validateCIDRs("egress.allow_cidrs", c.Egress.AllowCIDRs)...)
	faults = append(faults, c.validateSecrets()...)
	faults = append(faults, c.Database.Validate()...)
	faults = append(faults, c.Tenant.Validate()...)
	faults = append(faults, c.Webhook.Validate()...)
	faults = append(faults, c.Enhancement.Validate()...)
	faults = append(faults, c.Retrieval.Validate()...)
	faults = append(faults, c.Feed.Validate()...)
	faults = append(faults, c.Housekeeping.Validate()...)
	return append(faults, c.Notifier.Validate()...)
}

func (c TelemetryConfig) validate() []string {
	var faults []string
	if c.TenantLimit < 1 || c.TenantLimit > 10_000 {
		faults = append(faults, "telemetry.tenant_limit: must be between 1 and 10000")
	}
	if c.TraceRatio < 0 || c.TraceRatio > 1 {
		faults = append(faults, "telemetry.trace_ratio: must be between 0 and 1")
	}
	if c.TraceSlow <= 0 {
		faults = append(faults, "telemetry.trace_slow: must be more than 0")
	}
	for _, host := range c.PropagateTo {
		if host == "" || strings.ContainsAny(host, "/:@* ") {
			faults = append(faults, fmt.Sprintf("telemetry.propagate_to: %q is no host name such as otel.example.com (no scheme, no port)", host))
		}
	}
	return faults
}

func validateURLs(c Config) []string {
	u, err := url.Parse(c.OpenAI.BaseURL)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return []string{fmt.Sprintf("openai.base_url: must be a URL such as https://api.openai.com/v1, is %q", c.OpenAI.BaseURL)}
	}
	var faults []string
	if u.Scheme == "http" && c.Environment == production && c.OpenAI.APIKey.IsSet() {
		faults = append(faults, "openai.base_url: must be https in production, the key would travel in the clear")
	}
	e := c.Retrieval.Embeddings
	if e.Enabled && e.APIKey.IsSet() && c.Environment == production && strings.HasPrefix(e.BaseURL, "http:") {
		faults = append(faults, "retrieval.embeddings.base_url: must be https in production, the key would travel in the clear")
	}
	return faults
}

func validateCIDRs(key string, cidrs []string) []string {
	var faults []string
	for _, s := range cidrs {
		if _, err := netip.ParsePrefix(s); err != nil {
			faults = append(faults, fmt.Sprintf("%s: %q is no range such as 10.0.0.0/8", key, s))
		}
	}
	return faults
}

func (c Config) validateSecrets() []string {
	var faults []string
	if c.Encryption.Keys.IsSet() {
		if _, err := keyring.Parse(c.Encryption.Keys.Reveal()); err != nil {
			faults = append(faults, "encryption.keys: "+err.Error())
		}
	}
	if c.development() {
		return faults
	}
	if !c.Database.URL.IsSet() {
		faults = append(faults, "database.url: must be set outside development (AI_AGENTS_DATABASE_URL)")
	}
	if c.Ops.AdminToken.IsSet() && len(c.Ops.AdminToken.Reveal()) < 16 {
		faults = append(faults, "ops.admin_token: must be 16 characters or more")
	}
	return faults
}

// validateKeysSet demands the keyring, which development makes for itself.
func (c Config) validateKeysSet() []string {
	if c.development() || c.Encryption.Keys.IsSet() {
		return nil
	}
	return []string{"encryption.keys: must be set outside development (AI_AGENTS_ENCRYPTION_KEYS), for example k1:$(openssl rand -base64 32)"}
}

// prefixes parses ranges that validate has already accepted.
func prefixes(cidrs []string) []netip.Prefix {
	parsed := make([]netip.Prefix, 0, len(cidrs))
	for _, s := range cidrs {
		if p, err := netip.ParsePrefix(s); err == nil {
			parsed = append(parsed, p)
		}
	}
	return parsed
}

// newKeyText makes a keyring for a development set-up, in the form of the configuration.
func newKeyText(random []byte) string { return "dev:" + base64.StdEncoding.EncodeToString(random) }
