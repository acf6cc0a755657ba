package operator

import (
	"context"
	"encoding/base64"
	"errors"
	"time"

	"aiagents/internal/fault"
	"aiagents/internal/secret"
	"aiagents/modules/tenant"
)

// Tenant is everything about a tenant that may be shown. Of secrets it says whether there are any.
type Tenant struct {
	ID             string   `json:"id"`
	Name           string   `json:"name"`
	Edition        string   `json:"edition" enum:"onprem,cloud,msp_onprem,msp_cloud,generic"`
	ServiceDeskURL string   `json:"servicedesk_url"`
	Portal         string   `json:"portal" doc:"Portal of a cloud or multi-portal desk"`
	NoteKey        string   `json:"note_key" doc:"Envelope of a note; empty finds it out"`
	AccountIDs     []string `json:"account_ids" doc:"MSP accounts whose tickets belong to the tenant"`
	OnAmbiguous    string   `json:"on_ambiguous" enum:"verify,never_repost"`
	AllowedCIDRs   []string `json:"allowed_cidrs" doc:"Where webhooks may come from; none is anywhere"`
	WebhookAuth    []string `json:"webhook_auth" doc:"Accepted credentials: hmac, token, standard"`
	WebhookPath    string   `json:"webhook_path" doc:"Path of the tenant's webhook on the public address"`

	APIKeySet bool `json:"servicedesk_api_key_set"`
	// PreviousSecretExpiresAt is set while a replaced webhook secret is still valid.
	PreviousSecretExpiresAt *time.Time `json:"webhook_secret_previous_expires_at,omitempty" doc:"Until when a replaced webhook secret is still valid"`

	Preferences tenant.Preferences `json:"preferences"`
	DisabledAt  *time.Time         `json:"disabled_at,omitempty"`
	// Version grows with every change; an update names the one it was made from.
	Version   int64     `json:"version"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// NewSecret is a webhook secret, the one time that it is shown, with what the desk's administrator has to enter.
type NewSecret struct {
	Tenant Tenant
	Secret secret.Secret
}

// Check is one line of an examination: what was checked, how it stands, and what to do about it.
type Check struct {
	Status string `json:"status" enum:"ok,warn,fail"`
	Check  string `json:"check"`
	Detail string `json:"detail"`
	Next   string `json:"next,omitempty"`
}

// ConnectionReport is what a test of a tenant's connection found.
type ConnectionReport struct {
	// OK is false when a check failed.
	OK     bool    `json:"ok"`
	Checks []Check `json:"checks"`
}

func viewOf(t tenant.Tenant) Tenant {
	v := Tenant{
		ID: t.ID, Name: t.Name, Edition: t.Edition, ServiceDeskURL: t.ServiceDeskURL, Portal: t.Settings.Portal,
		NoteKey: t.Settings.NoteKey, AccountIDs: t.Settings.AccountIDs, OnAmbiguous: t.Settings.OnAmbiguous,
		WebhookAuth: t.WebhookAuth, WebhookPath: "/webhook/servicedesk/" + t.ID, AllowedCIDRs: []string{},
		APIKeySet: t.APIKey.IsSet(), Preferences: t.Preferences, DisabledAt: t.DisabledAt,
		Version: t.Version, CreatedAt: t.CreatedAt, UpdatedAt: t.UpdatedAt,
	}
	if v.AccountIDs == nil {
		v.AccountIDs = []string{}
	}
	for _, p := range t.Settings.AllowedCIDRs {
		v.AllowedCIDRs = append(v.AllowedCIDRs, p.String())
	}
	if t.PreviousSecret.IsSet() {
		v.PreviousSecretExpiresAt = t.PreviousExpiresAt
	}
	return v
}

func view(t tenant.Tenant, err error) (Tenant, error) {
	if err != nil {
		return Tenant{}, err
	}
	return viewOf(t), nil
}

// Tenants lists all tenants by id. It needs no keys, so it works when those are lost.
func (s *Service) Tenants(ctx context.Context) ([]tenant.Listing, error) {
	return s.deps.Tenants.ListAfter(ctx, "", 0)
}

// TenantPage is one page of the list of tenants.
type TenantPage struct {
	Items      []tenant.Listing `json:"items"`
	NextCursor string           `json:"next_cursor" doc:"Give it as cursor to get the next page; empty on the last one"`
}

// TenantPage lists tenants by id, a page at a time; a limit of 0 takes 50.
func (s *Service) TenantPage(ctx context.Context, limit int, cursor string) (TenantPage, error) {
	after, err := base64.RawURLEncoding.DecodeString(cursor)
	details := map[string]string{}
	if err != nil {
		details["cursor"] = "must be the next_cursor of a page"
	}
	if _, limit = checkPage(limit, "", details); len(details) > 0 {
		return TenantPage{}, fault.New(fault.Invalid, "the list cannot be read as asked").WithDetails(details)
	}
	list, err := s.deps.Tenants.ListAfter(ctx, string(after), limit+1)
	page := TenantPage{Items: list[:min(len(list), limit)]}
	if len(list) > limit {
		page.NextCursor = base64.RawURLEncoding.EncodeToString([]byte(list[limit-1].ID))
	}
	return page, err
}

// Tenant reads one tenant. NotFound when there is none.
func (s *Service) Tenant(ctx context.Context, id string) (Tenant, error) {
	return view(s.deps.Tenants.Fresh(ctx, id))
}

// CreateTenant adds a tenant.
func (s *Service) CreateTenant(ctx context.Context, actor string, in tenant.CreateInput) (NewSecret, error) {
	t, err := s.deps.TenantChanges.Create(ctx, actor, in)
	if err != nil {
		return NewSecret{}, err
	}
	return NewSecret{Tenant: viewOf(t), Secret: t.WebhookSecret}, nil
}

// UpdateTenant changes what in names. A Version that is not the present one is a fault of kind Conflict. A new key is the
// reason to end a pause at once instead of at the next probe.
func (s *Service) UpdateTenant(ctx context.Context, actor, id string, in tenant.UpdateInput) (Tenant, error) {
	t, err := s.deps.TenantChanges.Update(ctx, actor, id, in)
	if err == nil && in.APIKey != nil {
		err = s.deps.Desks.Resume(ctx, id)
	}
	return view(t, err)
}

// DisableTenant refuses the tenant's webhooks from now on; what was accepted before is finished.
func (s *Service) DisableTenant(ctx context.Context, actor, id string) (Tenant, error) {
	return view(s.deps.TenantChanges.Disable(ctx, actor, id))
}

// EnableTenant takes the tenant's webhooks again.
func (s *Service) EnableTenant(ctx context.Context, actor, id string) (Tenant, error) {
	return view(s.deps.TenantChanges.Enable(ctx, actor, id))
}

// DeleteTenant removes a tenant with all its data, for good, and returns how many rows went.
func (s *Service) DeleteTenant(ctx context.Context, actor, id string) (int64, error) {
	rows, err := s.deps.TenantChanges.Delete(ctx, actor, id)
	var total int64
	for _, n := range rows {
		total += n
	}
	return total, err
}

// RotateWebhookSecret replaces the webhook secret; the old one stays valid for the grace period.
func (s *Service) RotateWebhookSecret(ctx context.Context, actor, id string, in tenant.RotateInput) (NewSecret, error) {
	t, err := s.deps.TenantChanges.RotateWebhookSecret(ctx, actor, id, in)
	if err != nil {
		return NewSecret{}, err
	}
	return NewSecret{Tenant: viewOf(t), Secret: t.WebhookSecret}, nil
}

// TestConnection examines a tenant's desk and monitoring, without writing anything to them. A connection that was paused and
// works again is resumed.
func (s *Service) TestConnection(ctx context.Context, id string) (ConnectionReport, error) {
	if _, err := s.deps.Tenants.Fresh(ctx, id); err != nil {
		return ConnectionReport{}, err
	}
	checks, err := s.deps.ConnectionTest.TestConnection(ctx, id)
	if err != nil {
		return ConnectionReport{}, err
	}
	r := ConnectionReport{OK: true, Checks: checks}
	for _, c := range checks {
		r.OK = r.OK && c.Status != "fail"
	}
	return r, nil
}

// TenantSecrets lists the names of the secrets of a tenant's other systems.
func (s *Service) TenantSecrets(ctx context.Context, id string) ([]tenant.SecretInfo, error) {
	return s.deps.TenantSecrets.Secrets(ctx, id)
}

// SetTenantSecret stores a secret under the name by which preferences refer to it.
func (s *Service) SetTenantSecret(ctx context.Context, actor, id, name string, value secret.Secret) error {
	return s.deps.TenantSecrets.SetSecret(ctx, actor, id, name, value)
}

// DeleteTenantSecret forgets a secret.
func (s *Service) DeleteTenantSecret(ctx context.Context, actor, id, name string) error {
	return s.deps.TenantSecrets.DeleteSecret(ctx, actor, id, name)
}

func asFault(err error) (*fault.Error, bool) {
	var f *fault.Error
	return f, errors.As(err, &f)
}
