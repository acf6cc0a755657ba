package tenant

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"aiagents/internal/fault"
	"aiagents/internal/secret"
)

// DefaultGrace is how long a replaced webhook secret stays valid where the caller has no wish of their own.
const DefaultGrace = 24 * time.Hour

// maxGrace bounds how long a replaced secret may live on.
const maxGrace = 30 * 24 * time.Hour

// CreateInput describes a new tenant. Empty fields take their default.
type CreateInput struct {
	ID             string
	Name           string
	Edition        string // default onprem
	ServiceDeskURL string
	// APIKey may be set later with SetAPIKey. For cloud and msp_cloud it is JSON:
	// {"accounts_url","client_id","client_secret","refresh_token"}.
	APIKey secret.Secret
	// WebhookSecret has 16 characters or more; empty makes a random one.
	WebhookSecret secret.Secret
	WebhookAuth   []string // default all
	Portal        string
	NoteKey       string
	AccountIDs    []string
	OnAmbiguous   string // default verify
	AllowedCIDRs  []string
	Preferences   *Preferences
}

// UpdateInput holds what shall change; nil leaves a field as it is.
type UpdateInput struct {
	// Version is the one that the caller has seen; a newer one is a fault of kind Conflict. 0 changes whatever is there.
	Version        int64
	Name           *string
	Edition        *string
	ServiceDeskURL *string
	APIKey         *secret.Secret
	WebhookAuth    *[]string
	Portal         *string
	NoteKey        *string
	AccountIDs     *[]string
	OnAmbiguous    *string
	AllowedCIDRs   *[]string
	Preferences    *Preferences
}

// Create adds a tenant. Its WebhookSecret is in the answer: show it once.
func (m *Module) Create(ctx context.Context, actor string, in CreateInput) (Tenant, error) {
	if in.ID == Canary {
		return Tenant{}, faults{"id": "is reserved for the canary"}.err("the tenant cannot be stored as given")
	}
	return m.create(ctx, actor, in)
}

func (m *Module) create(ctx context.Context, actor string, in CreateInput) (Tenant, error) {
	t := Tenant{
		ID: in.ID, Name: in.Name, Edition: in.Edition, ServiceDeskURL: in.ServiceDeskURL, APIKey: trimmed(in.APIKey),
		WebhookSecret: trimmed(in.WebhookSecret), WebhookAuth: in.WebhookAuth, Preferences: DefaultPreferences(),
		Settings: Settings{Portal: in.Portal, NoteKey: in.NoteKey, AccountIDs: in.AccountIDs, OnAmbiguous: in.OnAmbiguous},
	}
	if !t.WebhookSecret.IsSet() {
		t.WebhookSecret = newWebhookSecret()
	}
	if in.Preferences != nil {
		t.Preferences = *in.Preferences
	}
	if err := m.validate(&t, in.AllowedCIDRs); err != nil {
		return Tenant{}, err
	}
	r, err := encodeNew(m.keys, &t)
	if err != nil {
		return Tenant{}, err
	}
	err = m.write(ctx, actor, t.ID, "tenant.create", func(ctx context.Context, tx pgx.Tx) (any, error) {
		taken, err := insertDirectory(ctx, tx, t.ID)
		if err != nil {
			return nil, err
		}
		if taken {
			return nil, fault.Newf(fault.Conflict, "the id %q is in use, or its former tenant is still being deleted", t.ID)
		}
		if err := insertRecord(ctx, tx, &r); err != nil {
			return nil, err
		}
		return diff(Tenant{}, t)
	})
	if err != nil {
		return Tenant{}, err
	}
	t.Version, t.CreatedAt, t.UpdatedAt = r.Version, r.CreatedAt, r.UpdatedAt
	return t, nil
}

// Update changes what in names, and checks the whole tenant again.
func (m *Module) Update(ctx context.Context, actor, id string, in UpdateInput) (Tenant, error) {
	return m.change(ctx, actor, id, "tenant.update", func(t *Tenant) error {
		if in.Version != 0 && in.Version != t.Version {
			return fault.Newf(fault.Conflict, "the tenant was changed in the meantime: it has version %d, not %d", t.Version, in.Version)
		}
		set(&t.Name, in.Name)
		set(&t.Edition, in.Edition)
		set(&t.ServiceDeskURL, in.ServiceDeskURL)
		set(&t.WebhookAuth, in.WebhookAuth)
		set(&t.Settings.Portal, in.Portal)
		set(&t.Settings.NoteKey, in.NoteKey)
		set(&t.Settings.AccountIDs, in.AccountIDs)
		set(&t.Settings.OnAmbiguous, in.OnAmbiguous)
		set(&t.Preferences, in.Preferences)
		if in.APIKey != nil {
			t.APIKey = trimmed(*in.APIKey)
		}
		if in.WebhookAuth != nil && t.WebhookAuth == nil {
			t.WebhookAuth = []string{} // none at all is a fault, not the default
		}
		var cidrs []string
		if in.AllowedCIDRs != nil {
			t.Settings.AllowedCIDRs, cidrs = nil, *in.AllowedCIDRs
		}
		return m.validate(t, cidrs)
	})
}

// SetAPIKey replaces the key for the service desk.
func (m *Module) SetAPIKey(ctx context.Context, actor, id string, key secret.Secret) (Tenant, error) {
	return m.change(ctx, actor, id, "tenant.set_api_key", func(t *Tenant) error {
		t.APIKey = trimmed(key)
		f := faults{}
		f.when(!t.APIKey.IsSet(), "servicedesk_api_key", "is required")
		m.checkAPIKey(t, f)
		return f.err("the API key cannot be stored as given")
	})
}

// RotateInput describes the rotation of a webhook secret.
type RotateInput struct {
	// Secret is the new one; empty makes a random one.
	Secret secret.Secret
	// Grace is how long the present secret stays valid, up to 30 days; 0 ends it at once, for one that leaked.
	Grace time.Duration
}

// RotateWebhookSecret replaces the webhook secret; the present one stays valid for the grace period. A secret that was
// still in its grace period from an earlier rotation ends now. The new WebhookSecret is in the answer: show it once.
func (m *Module) RotateWebhookSecret(ctx context.Context, actor, id string, in RotateInput) (Tenant, error) {
	return m.change(ctx, actor, id, "tenant.rotate_secret", func(t *Tenant) error {
		next := trimmed(in.Secret)
		if !next.IsSet() {
			next = newWebhookSecret()
		}
		f := faults{}
		f.when(in.Grace < 0 || in.Grace > maxGrace, "grace", "must be 0 to %s", maxGrace)
		f.when(next.Equal(t.WebhookSecret), "webhook_secret", "is the one in use")
		checkWebhookSecret(next, f)
		if err := f.err("the webhook secret cannot be rotated as asked"); err != nil {
			return err
		}
		t.PreviousSecret, t.PreviousExpiresAt = secret.Secret{}, nil
		if in.Grace > 0 {
			// Whole microseconds, as the database keeps them: what is answered now equals what is read later.
			expires := m.clock().Add(in.Grace).Truncate(time.Microsecond)
			t.PreviousSecret, t.PreviousExpiresAt = t.WebhookSecret, &expires
		}
		t.WebhookSecret = next
		return nil
	})
}

// Disable refuses the tenant's webhooks from now on. What was accepted before is finished.
func (m *Module) Disable(ctx context.Context, actor, id string) (Tenant, error) {
	return m.change(ctx, actor, id, "tenant.disable", func(t *Tenant) error {
		if t.DisabledAt == nil {
			now := m.clock().Truncate(time.Microsecond)
			t.DisabledAt = &now
		}
		return nil
	})
}

// Enable takes the tenant's webhooks again.
func (m *Module) Enable(ctx context.Context, actor, id string) (Tenant, error) {
	return m.change(ctx, actor, id, "tenant.enable", func(t *Tenant) error {
		t.DisabledAt = nil
		return nil
	})
}

// change lets mutate alter a locked tenant and stores the result. A change that changes nothing leaves no trace.
func (m *Module) change(ctx context.Context, actor, id, action string, mutate func(*Tenant) error) (Tenant, error) {
	var after Tenant
	err := m.write(ctx, actor, id, action, func(ctx context.Context, tx pgx.Tx) (any, error) {
		r, found, err := readRecord(ctx, tx, id, true)
		if err != nil {
			return nil, err
		}
		if !found {
			return nil, errUnknown(id)
		}
		before, err := m.decode(r)
		if err != nil {
			return nil, err
		}
		after = before
		// validate writes into slices; the tenant as it was must not change with them.
		after.Settings.AllowedCIDRs = slices.Clone(before.Settings.AllowedCIDRs)
		if err := mutate(&after); err != nil {
			return nil, err
		}
		changes, err := diff(before, after)
		if err != nil || len(changes) == 0 {
			return nil, err
		}
		updated, err := encode(after)
		if err != nil {
			return nil, err
		}
		if err := updateRecord(ctx, tx, &updated); err != nil {
			return nil, err
		}
		after.Version, after.UpdatedAt = updated.Version, updated.UpdatedAt
		return changes, nil
	})
	if err != nil {
		return Tenant{}, err
	}
	return after, nil
}

// write runs one change of one tenant with its audit entry and its notification in one transaction. act returns what the
// audit entry tells; nil means that nothing was changed.
func (m *Module) write(ctx context.Context, actor, id, action string, act func(context.Context, pgx.Tx) (any, error)) error {
	if strings.TrimSpace(actor) == "" {
		return fault.New(fault.Internal, "a change of a tenant needs an actor")
	}
	if !tenantID.MatchString(id) {
		return errUnknown(id)
	}
	err := m.db.InTenantTx(ctx, id, func(ctx context.Context, tx pgx.Tx) error {
		detail, err := act(ctx, tx)
		if err != nil || detail == nil {
			return err
		}
		if err := insertAudit(ctx, tx, id, actor, action, detail); err != nil {
			return err
		}
		return notifyChanged(ctx, tx, id)
	})
	// Dropped after a failure too: a commit whose answer was lost may have happened.
	m.cache.drop(id)
	if err != nil {
		return fmt.Errorf("%s: %w", action, err)
	}
	return nil
}

func set[T any](field *T, value *T) {
	if value != nil {
		*field = *value
	}
}

// trimmed drops the line end that a secret read from a file usually has.
func trimmed(s secret.Secret) secret.Secret { return secret.New(strings.TrimSpace(s.Reveal())) }
