package console

import (
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"aiagents/internal/fault"
	"aiagents/internal/secret"
	"aiagents/modules/tenant"
)

// editions in the order in which the form offers them.
var editions = []string{tenant.OnPrem, tenant.Cloud, tenant.MSPOnPrem, tenant.MSPCloud, tenant.Generic}

func keyHint(edition string) string {
	const technician = "The API key of a technician whose role may view requests and add notes."
	const cloud = `JSON: {"accounts_url": …, "client_id": …, "client_secret": …, "refresh_token": …}.`
	switch edition {
	case tenant.Cloud, tenant.MSPCloud:
		return cloud
	case "":
		return technician + " For the cloud editions " + cloud
	}
	return technician
}

// typed is the form as it was sent.
type typed struct{ id, name, url, edition, portal, accounts string }

// fields are the form's, filled with what was typed and with what is wrong about it. A key is never sent back.
func (t typed) fields(faults map[string]string) []field {
	all := []field{
		{ID: "id", Name: "Id", Kind: "text", Value: t.id, Hint: "Short and lasting: part of the webhook's address. Letters, digits, '.', '_' and '-', such as acme."},
		{ID: "name", Name: "Name", Kind: "text", Value: t.name, Hint: "As people say it, such as Acme Clinics."},
		{ID: "edition", Name: "Service desk", Kind: "select", Hint: "MSP editions serve several customers with one desk."},
		{ID: "servicedesk_url", Name: "Address of the service desk", Kind: "url", Value: t.url, Hint: "Such as https://desk.example.com:8443."},
		{ID: "servicedesk_api_key", Name: "Key of the service desk", Kind: "textarea", Optional: true, Hint: keyHint("") + " It is stored encrypted and never shown again. It can be set later."},
		{ID: "account_ids", Name: "Accounts", Kind: "text", Value: t.accounts, Optional: true, Hint: "For the MSP editions: account.id of this customer on the desk, several separated by commas."},
		{ID: "portal", Name: "Portal", Kind: "text", Value: t.portal, Optional: true, Hint: "For cloud or multi-portal desks: the name in the portal's address, such as itdesk."},
	}
	for _, edition := range editions {
		all[2].Options = append(all[2].Options, option{Value: edition, Name: editionNames[edition], Selected: edition == t.edition})
	}
	for i := range all {
		all[i].Fault = faults[all[i].ID]
	}
	return all
}

var authNames = map[string]string{
	tenant.AuthToken:    "Token in a header: what ServiceDesk Plus's own webhook form can send",
	tenant.AuthHMAC:     "HMAC-SHA256 of the body: for scripts and Deluge functions",
	tenant.AuthStandard: "Standard Webhooks",
}

func authOptions(chosen []string) (options []option) {
	for _, kind := range []string{tenant.AuthToken, tenant.AuthHMAC, tenant.AuthStandard} {
		options = append(options, option{Value: kind, Name: authNames[kind], Selected: slices.Contains(chosen, kind)})
	}
	return options
}

func (c *Console) onboardForm(ctx echo.Context) error {
	t := typed{edition: tenant.OnPrem}
	v := onboardView{Fields: t.fields(nil), Auth: authOptions([]string{tenant.AuthToken, tenant.AuthHMAC, tenant.AuthStandard})}
	return c.render(ctx, view{page: "onboard", title: "Add a tenant", section: "Tenants", body: v})
}

// onboard adds a tenant, tests its connection, and shows the webhook secret. A connection that does not work yet is no reason
// to refuse: the page says what is missing, and the secret would be lost otherwise.
func (c *Console) onboard(ctx echo.Context) error {
	form, err := ctx.FormParams()
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "the form cannot be read")
	}
	value := func(name string) string { return strings.TrimSpace(form.Get(name)) }
	t := typed{id: value("id"), name: value("name"), url: value("servicedesk_url"), edition: value("edition"), portal: value("portal"), accounts: value("account_ids")}
	in := tenant.CreateInput{
		ID: t.id, Name: t.name, Edition: t.edition, ServiceDeskURL: t.url, Portal: t.portal, APIKey: secret.New(value("servicedesk_api_key")),
		WebhookAuth: form["webhook_auth"],
		AccountIDs:  strings.FieldsFunc(t.accounts, func(r rune) bool { return r == ',' || r == ' ' || r == ';' }),
	}
	if len(in.WebhookAuth) == 0 {
		// The module takes none for all; who unticked everything did not mean that.
		return c.onboardAgain(ctx, t, nil, fault.New(fault.Invalid, "").WithDetails(map[string]string{"webhook_auth": "choose at least one"}))
	}
	r := ctx.Request().Context()
	fresh, err := c.deps.Operator.CreateTenant(r, actor(ctx), in)
	if f, _ := explain(err); err != nil && (f.Kind == fault.Invalid || f.Kind == fault.Conflict) {
		return c.onboardAgain(ctx, t, in.WebhookAuth, f)
	}
	if err != nil {
		return err
	}
	v := newSecretView(fresh, fresh.Tenant.Name+" is added")
	if v.Tested, err = c.test(r, fresh.Tenant.ID); err != nil {
		f, _ := explain(err)
		v.Tested = &tested{Tone: "warn", Text: "The connection could not be tested: " + sentence(f.Message)}
	}
	return c.render(ctx, view{page: "secret", title: "Tenant added", section: "Tenants", body: v})
}

// onboardAgain shows the form with everything that was typed but the key.
func (c *Console) onboardAgain(ctx echo.Context, t typed, auth []string, f *fault.Error) error {
	details := f.Details
	if f.Kind == fault.Conflict {
		details = map[string]string{"id": f.Message}
	}
	v := onboardView{Fields: t.fields(details), Auth: authOptions(auth), AuthFault: details["webhook_auth"]}
	rest := map[string]string{}
	for name, text := range details {
		rest[name] = text
	}
	for _, field := range v.Fields {
		if field.Fault != "" {
			v.Faults = append(v.Faults, fieldFault{Field: field.ID, Name: field.Name, Text: field.Fault})
			delete(rest, field.ID)
		}
	}
	for _, text := range rest {
		v.Faults = append(v.Faults, fieldFault{Text: text})
	}
	v.Summary = plural(len(v.Faults), "entry needs", "entries need") + " another look. Nothing was stored; the key has to be entered again."
	_, status := explain(f)
	if f.Kind == fault.Invalid {
		status = http.StatusUnprocessableEntity
	}
	return c.render(ctx, view{page: "onboard", title: "Add a tenant", section: "Tenants", status: status, body: v})
}
