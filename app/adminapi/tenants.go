package adminapi

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"aiagents/app/operator"
	"aiagents/internal/fault"
	"aiagents/internal/secret"
	"aiagents/modules/tenant"
)

// TenantPath names a tenant in the address.
type TenantPath struct {
	TenantID string `path:"tenant_id" maxLength:"100" doc:"Id of the tenant" example:"acme"`
}

// DeskFields are what creating and updating a tenant share. What is left out takes its default, or stays as it is.
type DeskFields struct {
	Edition     *string            `json:"edition,omitempty" enum:"onprem,cloud,msp_onprem,msp_cloud,generic" doc:"Kind of service desk; onprem unless said otherwise"`
	APIKey      *string            `json:"servicedesk_api_key,omitempty" writeOnly:"true" maxLength:"10000" doc:"Key of a technician, for all editions but cloud and msp_cloud. Never shown again"`
	OAuth       *oauthFields       `json:"servicedesk_oauth,omitempty" writeOnly:"true" doc:"OAuth client, for cloud and msp_cloud. Never shown again"`
	WebhookAuth *[]string          `json:"webhook_auth,omitempty" enum:"hmac,token,standard" doc:"Accepted webhook credentials; all unless said otherwise"`
	Portal      *string            `json:"portal,omitempty" doc:"Portal of a cloud or multi-portal desk"`
	NoteKey     *string            `json:"note_key,omitempty" doc:"Envelope of a note: note or request_note; empty finds it out"`
	AccountIDs  *[]string          `json:"account_ids,omitempty" doc:"MSP accounts whose tickets belong to the tenant; MSP editions need them"`
	OnAmbiguous *string            `json:"on_ambiguous,omitempty" enum:"verify,never_repost" doc:"When nobody can know whether a note was written: look and post again, or rather no note than two"`
	CIDRs       *[]string          `json:"allowed_cidrs,omitempty" doc:"Where webhooks may come from, as networks or addresses; none is anywhere"`
	Preferences *preferencesChange `json:"preferences,omitempty" doc:"What is left out stays as it is"`
}

// oauthFields are the API key of a cloud desk.
type oauthFields struct {
	AccountsURL  string `json:"accounts_url" doc:"Such as https://accounts.zoho.com"`
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret"`
	RefreshToken string `json:"refresh_token"`
}

// preferencesChange is tenant.Preferences with everything optional.
type preferencesChange struct {
	NoteLanguage      *string           `json:"note_language,omitempty" doc:"Language of the note, such as en or pt-BR"`
	MaxWords          *int              `json:"max_words,omitempty" minimum:"50" maximum:"500" doc:"Length of the note"`
	Skip              *skipRulesChange  `json:"skip,omitempty" doc:"Tickets that get no note"`
	VisibleTo         *visibilityChange `json:"visible_to,omitempty" doc:"Who may see what"`
	Model             *string           `json:"model,omitempty" maxLength:"100" doc:"Asked before the operator's models; empty takes those"`
	DailyTokenBudget  *int64            `json:"daily_token_budget,omitempty" minimum:"0" doc:"Tokens a day (UTC), after which notes are facts-only; 0 is no bound"`
	TicketHistoryDays *int              `json:"ticket_history_days,omitempty" minimum:"0" maximum:"36500" doc:"How long solved tickets are kept for search, in days; 0 is for ever"`
	Monitoring        map[string]any    `json:"monitoring,omitempty" doc:"Monitoring sources; credentials are named here and kept as secrets. Replaced as a whole"`
	Documentation     map[string]any    `json:"documentation,omitempty" doc:"Remote documentation, with the same rules"`
}

type skipRulesChange struct {
	Categories      *[]string `json:"categories,omitempty"`
	Priorities      *[]string `json:"priorities,omitempty"`
	SubjectPrefixes *[]string `json:"subject_prefixes,omitempty"`
}

type visibilityChange struct {
	Audience          *string `json:"audience,omitempty" enum:"technicians" doc:"A note is always private"`
	ShowRequesterName *bool   `json:"show_requester_name,omitempty" doc:"Whether the note may name the person who opened the ticket"`
}

type createTenant struct {
	Body struct {
		ID             string `json:"id" maxLength:"100" pattern:"^[A-Za-z0-9][A-Za-z0-9._-]*$" patternDescription:"letters, digits, '.', '_' and '-'" doc:"Unique, and never changed" example:"acme"`
		Name           string `json:"name" minLength:"1" maxLength:"200" example:"Acme Clinics"`
		ServiceDeskURL string `json:"servicedesk_url" maxLength:"2000" doc:"Address of the service desk" example:"https://desk.acme.example:8443"`
		WebhookSecret  string `json:"webhook_secret,omitempty" writeOnly:"true" maxLength:"1000" doc:"A secret of your own, of 16 characters or more; a random one unless given"`
		DeskFields
	}
}

type updateTenant struct {
	TenantPath
	IfMatch string `header:"If-Match" doc:"ETag of the tenant that the update was made from. 428 without it" example:"\"3\""`
	Body    struct {
		Name           *string `json:"name,omitempty" minLength:"1" maxLength:"200"`
		ServiceDeskURL *string `json:"servicedesk_url,omitempty" maxLength:"2000" doc:"Address of the service desk"`
		DeskFields
	}
}

// webhookSecret is what a desk's administrator has to enter, the one time that it is shown.
type webhookSecret struct {
	Tenant        operator.Tenant `json:"tenant"`
	WebhookSecret string          `json:"webhook_secret" doc:"Shown this once. It goes into the header X-ServiceDesk-Token of the desk's webhook, or signs its body"`
}

// deletion is what went.
type deletion struct {
	Rows int64 `json:"rows" doc:"Rows that were deleted in all tables"`
}

func (a *api) tenants() {
	add(a, route{http.MethodGet, "/tenants", "listTenants", "tenants", "List the tenants", "By id. It needs no encryption keys.", 0, nil},
		func(ctx context.Context, in *struct{ Page }) (*answer[operator.TenantPage], error) {
			list, err := a.Service.TenantPage(ctx, in.Limit, in.Cursor)
			return &answer[operator.TenantPage]{success(list, "A page of tenants.")}, err
		})
	add(a, route{
		http.MethodPost, "/tenants", "createTenant", "tenants", "Add a tenant",
		"Its webhook secret is in the answer, and nowhere else. The key for the desk may be set later; until then notes cannot be written.",
		http.StatusCreated,
		[]int{http.StatusConflict},
	}, a.create)
	add(a, route{
		http.MethodGet, "/tenants/{tenant_id}", "getTenant", "tenants", "Read a tenant", "Of secrets it says whether there are any.",
		0,
		[]int{http.StatusNotFound},
	},
		func(ctx context.Context, in *TenantPath) (*tagged[operator.Tenant], error) {
			t, err := a.Service.Tenant(ctx, in.TenantID)
			return tag(t, "The tenant."), err
		})
	add(a, route{
		http.MethodPatch, "/tenants/{tenant_id}", "updateTenant", "tenants", "Change a tenant",
		"What is left out stays as it is. A new key ends a pause of the desk at once.", 0,
		[]int{http.StatusNotFound, http.StatusPreconditionFailed, http.StatusPreconditionRequired},
	}, a.update)
	add(a, route{
		http.MethodDelete, "/tenants/{tenant_id}", "deleteTenant", "tenants", "Delete a tenant with all its data, for good",
		"Its data key is destroyed first. Its audit log stays until it expires. Repeating a deletion that was interrupted goes on with it.",
		0,
		[]int{http.StatusNotFound},
	},
		func(ctx context.Context, in *TenantPath) (*answer[deletion], error) {
			rows, err := a.Service.DeleteTenant(ctx, actor(ctx), in.TenantID)
			return &answer[deletion]{success(deletion{rows}, "The tenant and its data are gone.")}, err
		})
}

func tag(t operator.Tenant, message string) *tagged[operator.Tenant] {
	return &tagged[operator.Tenant]{ETag: etag(t.Version), Body: success(t, message)}
}

func etag(version int64) string { return strconv.Quote(strconv.FormatInt(version, 10)) }

func (a *api) create(ctx context.Context, in *createTenant) (*created[webhookSecret], error) {
	b := in.Body
	key, err := b.key()
	if err != nil {
		return nil, err
	}
	prefs, err := b.Preferences.over(tenant.DefaultPreferences())
	if err != nil {
		return nil, err
	}
	input := tenant.CreateInput{
		ID: b.ID, Name: b.Name, ServiceDeskURL: b.ServiceDeskURL, WebhookSecret: secret.New(b.WebhookSecret), Preferences: prefs,
		Edition: deref(b.Edition), WebhookAuth: deref(b.WebhookAuth), Portal: deref(b.Portal), NoteKey: deref(b.NoteKey),
		AccountIDs: deref(b.AccountIDs), OnAmbiguous: deref(b.OnAmbiguous), AllowedCIDRs: deref(b.CIDRs),
	}
	if key != nil {
		input.APIKey = *key
	}
	made, err := a.Service.CreateTenant(ctx, actor(ctx), input)
	if err != nil {
		return nil, err
	}
	return &created[webhookSecret]{
		ETag: etag(made.Tenant.Version), Location: Prefix + "/tenants/" + url.PathEscape(made.Tenant.ID),
		Body: success(webhookSecret{made.Tenant, made.Secret.Reveal()}, "The tenant was added. Its webhook secret is shown this once."),
	}, nil
}

func (a *api) update(ctx context.Context, in *updateTenant) (*tagged[operator.Tenant], error) {
	if in.IfMatch == "" {
		return nil, fault.New(fault.Invalid, "send the tenant's ETag as If-Match, so that nobody else's change is lost").WithCode("PRECONDITION_REQUIRED")
	}
	now, err := a.Service.Tenant(ctx, in.TenantID)
	if err != nil {
		return nil, err
	}
	if !matches(in.IfMatch, now.Version) {
		return nil, errChanged()
	}
	b := in.Body
	change := tenant.UpdateInput{
		Version: now.Version, Name: b.Name, ServiceDeskURL: b.ServiceDeskURL, Edition: b.Edition, WebhookAuth: b.WebhookAuth,
		Portal: b.Portal, NoteKey: b.NoteKey, AccountIDs: b.AccountIDs, OnAmbiguous: b.OnAmbiguous, AllowedCIDRs: b.CIDRs,
	}
	if change.APIKey, err = b.key(); err != nil {
		return nil, err
	}
	if b.Preferences != nil {
		if change.Preferences, err = b.Preferences.over(now.Preferences); err != nil {
			return nil, err
		}
	}
	t, err := a.Service.UpdateTenant(ctx, actor(ctx), in.TenantID, change)
	if fault.Is(err, fault.Conflict) {
		return nil, errChanged() // since it was read above
	}
	return tag(t, "The tenant was changed."), err
}

func errChanged() error {
	return fault.New(fault.Conflict, "the tenant was changed in the meantime: read it again").WithCode("PRECONDITION_FAILED")
}

// matches compares strongly, as If-Match asks for. "*" is any version.
func matches(header string, version int64) bool {
	return strings.TrimSpace(header) == "*" || slices.ContainsFunc(strings.Split(header, ","), func(t string) bool {
		return strings.TrimSpace(t) == etag(version)
	})
}

// key is the API key that was given in either form; nil for none.
func (f DeskFields) key() (*secret.Secret, error) {
	switch {
	case f.APIKey != nil && f.OAuth != nil:
		return nil, fault.New(fault.Invalid, "the request cannot be used as it is").
			WithDetails(map[string]string{"servicedesk_oauth": "give this or servicedesk_api_key"})
	case f.OAuth != nil:
		raw, err := json.Marshal(f.OAuth) //nolint:gosec // on its way to be sealed
		if err != nil {
			return nil, fault.Wrap(fault.Internal, err, "the OAuth client cannot be encoded")
		}
		key := secret.New(string(raw))
		return &key, nil
	case f.APIKey != nil:
		key := secret.New(*f.APIKey)
		return &key, nil
	}
	return nil, nil
}

// over lays what was given over what there is, and checks the whole.
func (p *preferencesChange) over(base tenant.Preferences) (*tenant.Preferences, error) {
	if p == nil {
		return &base, nil
	}
	var was, change map[string]any
	for from, into := range map[any]*map[string]any{&base: &was, p: &change} {
		raw, err := json.Marshal(from)
		if err == nil {
			err = json.Unmarshal(raw, into)
		}
		if err != nil {
			return nil, fault.Wrap(fault.Internal, err, "the preferences cannot be encoded")
		}
	}
	raw, err := json.Marshal(merged(was, change))
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "the preferences cannot be encoded")
	}
	result, err := tenant.ParsePreferences(raw)
	return &result, err
}

func deref[T any](p *T) (value T) {
	if p != nil {
		value = *p
	}
	return value
}
