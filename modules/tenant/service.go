package tenant

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"aiagents/db"
	"aiagents/internal/fault"
	"aiagents/internal/keyring"
)

// Deps are what the module works with. All are required.
type Deps struct {
	DB      *db.DB
	Keyring *keyring.Keyring
	Logger  *slog.Logger
	Clock   func() time.Time
}

// Module is the face of the package. It is safe for concurrent use.
type Module struct {
	db        *db.DB
	keys      *keyring.Keyring
	log       *slog.Logger
	clock     func() time.Time
	cfg       Config
	cache     *cache
	listening chan struct{}
	ready     func()

	decoy       Tenant
	decoyRecord record
}

// New names every missing dependency and every fault of the configuration at once.
func New(deps Deps, cfg Config) (*Module, error) {
	missing := cfg.Validate()
	for name, absent := range map[string]bool{
		"DB": deps.DB == nil, "Keyring": deps.Keyring == nil, "Logger": deps.Logger == nil, "Clock": deps.Clock == nil,
	} {
		if absent {
			missing = append(missing, "missing "+name)
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		return nil, fault.New(fault.Internal, "tenant: "+strings.Join(missing, "; "))
	}
	decoy, decoyRecord, err := newDecoy(deps.Keyring)
	if err != nil {
		return nil, fmt.Errorf("make decoy: %w", err)
	}
	listening := make(chan struct{})
	return &Module{
		db: deps.DB, keys: deps.Keyring, log: deps.Logger, clock: deps.Clock, cfg: cfg, cache: newCache(cfg.CacheTTL),
		listening: listening, ready: sync.OnceFunc(func() { close(listening) }), decoy: decoy, decoyRecord: decoyRecord,
	}, nil
}

// Get returns a tenant, from memory where it can. A disabled tenant is returned like any other; an unknown one is a fault
// of kind NotFound.
func (m *Module) Get(ctx context.Context, id string) (Tenant, error) {
	if t, ok := m.Cached(id); ok {
		return t, nil
	}
	return m.Fresh(ctx, id)
}

// Fresh reads a tenant from the database and refills the cache. An unknown tenant costs what a known one does: one
// transaction, one data key and the same secrets opened.
func (m *Module) Fresh(ctx context.Context, id string) (Tenant, error) {
	lookup := id
	if !tenantID.MatchString(id) {
		lookup = noTenant
	}
	generation := m.cache.begin()
	var r record
	err := m.db.InTenantTx(ctx, lookup, func(ctx context.Context, tx pgx.Tx) (err error) {
		r, err = readRecordOr(ctx, tx, lookup, m.decoyRecord)
		return err
	})
	if err != nil {
		return Tenant{}, err
	}
	t, err := m.decode(r)
	if err != nil {
		return Tenant{}, err
	}
	if t.ID == noTenant {
		return Tenant{}, errUnknown(id)
	}
	m.cache.put(t, generation, m.clock())
	return t, nil
}

func errUnknown(id string) error { return fault.Newf(fault.NotFound, "there is no tenant %q", id) }

// Cached returns a tenant that is in memory, and never asks the database. It is the first half of verifying a webhook:
// verify against what is cached, or the decoy; when that fails, verify once more against Fresh, or the decoy. A refusal then
// costs two verifications and one read, whether the tenant is unknown, disabled, cached or not, or the credential is wrong;
// with Get in its place, an unknown tenant would cost a read more. The second half also finds a secret that was rotated a
// moment ago.
func (m *Module) Cached(id string) (Tenant, bool) { return m.cache.get(id, m.clock()) }

// CacheStats tells how often a tenant was found in memory, and how often it was not.
func (m *Module) CacheStats() (hits, misses uint64) { return m.cache.stats() }

// Decoy is a tenant that cannot exist, with random secrets of the usual shape, to verify against in the place of an unknown
// or disabled one. Whatever the outcome, it must be refused.
func (m *Module) Decoy() Tenant { return m.decoy }

// Connection returns what is needed to call the tenant's service desk. A tenant without an API key is a fault of kind
// Conflict. Disabled tenants have a connection: work that was accepted before is finished.
func (m *Module) Connection(ctx context.Context, id string) (Connection, error) {
	t, err := m.Get(ctx, id)
	if err != nil {
		return Connection{}, err
	}
	return t.connection()
}

// Listing is one line of List. It needs no keys to be read.
type Listing struct {
	ID             string     `json:"id"`
	Name           string     `json:"name"`
	Edition        string     `json:"edition"`
	ServiceDeskURL string     `json:"servicedesk_url"`
	DisabledAt     *time.Time `json:"disabled_at,omitempty"`
	Version        int64      `json:"version"`
	CreatedAt      time.Time  `json:"created_at"`
	UpdatedAt      time.Time  `json:"updated_at"`
	// HasAPIKey tells whether the desk can be called at all.
	HasAPIKey bool `json:"servicedesk_api_key_set"`
	// EncryptionKey is the id of the operator's key that wraps the tenant's data key.
	EncryptionKey string `json:"encryption_key"`
}

// IDs lists the ids of all tenants, disabled ones too, for work that goes through all of them.
func (m *Module) IDs(ctx context.Context) ([]string, error) {
	entries, err := m.directory(ctx)
	if err != nil {
		return nil, err
	}
	ids := []string{}
	for _, e := range entries {
		if e.DeletedAt == nil {
			ids = append(ids, e.ID)
		}
	}
	return ids, nil
}

// List lists all tenants by id, without the synthetic one.
func (m *Module) List(ctx context.Context) ([]Listing, error) { return m.ListAfter(ctx, "", 0) }

// ListAfter lists the tenants whose ids come after an id, by id, as many as limit; 0 is all.
func (m *Module) ListAfter(ctx context.Context, after string, limit int) ([]Listing, error) {
	ids, err := m.IDs(ctx)
	if err != nil {
		return nil, err
	}
	slices.Sort(ids) // by bytes, whatever the database's collation is
	listings := []Listing{}
	for _, id := range ids {
		if id <= after || id == Canary {
			continue
		}
		if limit > 0 && len(listings) == limit {
			break
		}
		var r record
		var found bool
		err := m.db.InTenantTx(ctx, id, func(ctx context.Context, tx pgx.Tx) (err error) {
			r, found, err = readRecord(ctx, tx, id, false)
			return err
		})
		if err != nil {
			return nil, err
		}
		if !found { // deleted since
			continue
		}
		key, err := keyring.WrappedBy(r.DataKey)
		if err != nil {
			key = "damaged"
		}
		listings = append(listings, Listing{
			ID: r.TenantID, Name: r.Name, Edition: r.Edition, ServiceDeskURL: r.ServiceDeskURL, DisabledAt: r.DisabledAt,
			Version: r.Version, CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt, HasAPIKey: len(r.APIKey) > 0, EncryptionKey: key,
		})
	}
	return listings, nil
}

// AuditedIDs lists the ids of all tenants that may have audit entries: those that were deleted lately too.
func (m *Module) AuditedIDs(ctx context.Context) ([]string, error) {
	entries, err := m.directory(ctx)
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(entries))
	for i, e := range entries {
		ids[i] = e.ID
	}
	return ids, nil
}

func (m *Module) directory(ctx context.Context) (entries []directoryEntry, err error) {
	err = m.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) (err error) {
		entries, err = readDirectory(ctx, tx)
		return err
	})
	return entries, err
}

// changed is one field of an audit entry. Secrets print as "[set]" or "[not set]" in it.
type changed struct {
	From json.RawMessage `json:"from"`
	To   json.RawMessage `json:"to"`
}

// diff names the fields that differ, by their JSON, which holds no secret; so secrets are compared on their own.
func diff(before, after Tenant) (map[string]changed, error) {
	from, err := fieldsOf(before)
	if err != nil {
		return nil, err
	}
	to, err := fieldsOf(after)
	if err != nil {
		return nil, err
	}
	different := map[string]bool{
		"servicedesk_api_key":     !before.APIKey.Equal(after.APIKey),
		"webhook_secret":          !before.WebhookSecret.Equal(after.WebhookSecret),
		"webhook_secret_previous": !before.PreviousSecret.Equal(after.PreviousSecret),
	}
	changes := map[string]changed{}
	for _, fields := range []map[string]json.RawMessage{from, to} {
		for name := range fields {
			if different[name] || string(from[name]) != string(to[name]) {
				changes[name] = changed{From: orJSONNull(from[name]), To: orJSONNull(to[name])}
			}
		}
	}
	return changes, nil
}

func fieldsOf(t Tenant) (map[string]json.RawMessage, error) {
	encoded, err := json.Marshal(t)
	if err != nil {
		return nil, fmt.Errorf("encode tenant: %w", err)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(encoded, &fields); err != nil {
		return nil, fmt.Errorf("decode tenant: %w", err)
	}
	return fields, nil
}

func orJSONNull(raw json.RawMessage) json.RawMessage {
	if raw == nil {
		return json.RawMessage("null")
	}
	return raw
}
