package adminapi

import (
	"context"
	"net/http"
	"time"

	"aiagents/app/operator"
	"aiagents/internal/secret"
	"aiagents/modules/tenant"
)

type rotateSecret struct {
	TenantPath
	Body *struct {
		GraceSeconds  *int64 `json:"grace_seconds,omitempty" minimum:"0" maximum:"2592000" doc:"How long the old secret stays valid, 86400 (a day) unless given; 0 ends it at once, for one that leaked"`
		WebhookSecret string `json:"webhook_secret,omitempty" writeOnly:"true" maxLength:"1000" doc:"A secret of your own, of 16 characters or more; a random one unless given"`
	}
}

type statusOfTenant struct {
	TenantPath
	Window operator.Window `query:"window" enum:"1h,24h,7d" default:"24h" doc:"How far back"`
}

func (a *api) tenantActs() {
	notFound := []int{http.StatusNotFound}
	for _, act := range []struct {
		path, id, summary, description, message string
		run                                     func(ctx context.Context, actor, id string) (operator.Tenant, error)
	}{
		{
			"/tenants/{tenant_id}/disable", "disableTenant", "Refuse a tenant's webhooks", "What was accepted before is finished. Repeating it changes nothing.",
			"The tenant's webhooks are refused from now on.", a.Service.DisableTenant,
		},
		{
			"/tenants/{tenant_id}/enable", "enableTenant", "Take a tenant's webhooks again", "Repeating it changes nothing.",
			"The tenant's webhooks are taken again.", a.Service.EnableTenant,
		},
	} {
		add(a, route{http.MethodPost, act.path, act.id, "tenants", act.summary, act.description, 0, notFound},
			func(ctx context.Context, in *TenantPath) (*tagged[operator.Tenant], error) {
				t, err := act.run(ctx, actor(ctx), in.TenantID)
				return tag(t, act.message), err
			})
	}
	add(a, route{
		http.MethodPost, "/tenants/{tenant_id}/rotate-secret", "rotateWebhookSecret", "tenants", "Replace a tenant's webhook secret",
		"The new one is in the answer, and nowhere else. The old one stays valid for the grace period, so that no webhook is refused.", 0, notFound,
	},
		func(ctx context.Context, in *rotateSecret) (*tagged[webhookSecret], error) {
			input := tenant.RotateInput{Grace: tenant.DefaultGrace}
			if in.Body != nil {
				input.Secret = secret.New(in.Body.WebhookSecret)
				if in.Body.GraceSeconds != nil {
					input.Grace = time.Duration(*in.Body.GraceSeconds) * time.Second
				}
			}
			made, err := a.Service.RotateWebhookSecret(ctx, actor(ctx), in.TenantID, input)
			return &tagged[webhookSecret]{
				ETag: etag(made.Tenant.Version),
				Body: success(webhookSecret{made.Tenant, made.Secret.Reveal()}, "The webhook secret was replaced. The new one is shown this once."),
			}, err
		})
	add(a, route{
		http.MethodPost, "/tenants/{tenant_id}/test-connection", "testConnection", "tenants", "Test a tenant's connections",
		"Address, credentials, right to read, edition and accounts of the desk, and the settings of monitoring, without writing anything. " +
			"A desk that was paused and works again is resumed.", 0, notFound,
	},
		func(ctx context.Context, in *TenantPath) (*answer[operator.ConnectionReport], error) {
			report, err := a.Service.TestConnection(ctx, in.TenantID)
			message := "The connection works."
			if !report.OK {
				message = "The connection does not work: see the checks."
			}
			return &answer[operator.ConnectionReport]{success(report, message)}, err
		})
	add(a, route{
		http.MethodGet, "/tenants/{tenant_id}/status", "getTenantStatus", "tenants", "See how a tenant stands",
		"State with its reason, counts, times and a series of 60 intervals.", 0, notFound,
	},
		func(ctx context.Context, in *statusOfTenant) (*answer[operator.TenantStatus], error) {
			status, err := a.Service.TenantStatus(ctx, in.TenantID, in.Window)
			return &answer[operator.TenantStatus]{success(status, "The tenant's status.")}, err
		})
}

// SecretPath names a secret of a tenant in the address.
type SecretPath struct {
	TenantPath
	Name string `path:"name" maxLength:"100" doc:"Name by which preferences refer to the secret" example:"zabbix"`
}

type putSecret struct {
	SecretPath
	Body struct {
		Value string `json:"value" writeOnly:"true" minLength:"1" maxLength:"16384" doc:"The secret. Never shown again"`
	}
}

type secretList struct {
	Items []tenant.SecretInfo `json:"items" nullable:"false"`
}

type secretName struct {
	Name string `json:"name"`
}

func (a *api) tenantSecrets() {
	notFound := []int{http.StatusNotFound}
	add(a, route{
		http.MethodGet, "/tenants/{tenant_id}/secrets", "listTenantSecrets", "tenants", "List the names of a tenant's secrets",
		"Those of its monitoring and documentation systems.", 0, notFound,
	},
		func(ctx context.Context, in *TenantPath) (*answer[secretList], error) {
			list, err := a.Service.TenantSecrets(ctx, in.TenantID)
			return &answer[secretList]{success(secretList{list}, "The names of the tenant's secrets.")}, err
		})
	add(a, route{
		http.MethodPut, "/tenants/{tenant_id}/secrets/{name}", "setTenantSecret", "tenants", "Store a secret of a tenant",
		"It is sealed with the tenant's key. An older one of the same name is replaced.", 0, notFound,
	},
		func(ctx context.Context, in *putSecret) (*answer[secretName], error) {
			err := a.Service.SetTenantSecret(ctx, actor(ctx), in.TenantID, in.Name, secret.New(in.Body.Value))
			return &answer[secretName]{success(secretName{in.Name}, "The secret was stored.")}, err
		})
	add(a, route{http.MethodDelete, "/tenants/{tenant_id}/secrets/{name}", "deleteTenantSecret", "tenants", "Forget a secret of a tenant", "", 0, notFound},
		func(ctx context.Context, in *SecretPath) (*answer[secretName], error) {
			err := a.Service.DeleteTenantSecret(ctx, actor(ctx), in.TenantID, in.Name)
			return &answer[secretName]{success(secretName{in.Name}, "The secret is forgotten.")}, err
		})
}
