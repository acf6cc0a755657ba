package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"aiagents/app/operator"
	"aiagents/internal/secret"
	"aiagents/modules/tenant"
)

func (c *cli) tenantCommand() *cobra.Command {
	group := &cobra.Command{Use: "tenant", Short: "Onboard and manage tenants"}
	group.AddCommand(c.tenantCreate(), c.tenantList(), c.tenantShow(), c.tenantUpdate(), c.tenantRotate(),
		c.tenantAct("disable", "Refuse a tenant's webhooks from now on", func(ctx context.Context, s *system, id string) error {
			_, err := s.operator.DisableTenant(ctx, actor(), id)
			return err
		}),
		c.tenantAct("enable", "Take a tenant's webhooks again", func(ctx context.Context, s *system, id string) error {
			_, err := s.operator.EnableTenant(ctx, actor(), id)
			return err
		}),
		c.tenantDelete(), c.tenantSecretCommand(), c.tenantAudit())
	return group
}

// tenantFields are the flags that create and update share.
type tenantFields struct {
	name, url, edition, portal, noteKey, onAmbiguous string
	apiKeyFile, preferencesFile                      string
	webhookAuth, accountIDs, allowedCIDRs            []string
}

func (f *tenantFields) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.name, "name", "", "name, 1 to 200 characters")
	flags.StringVar(&f.url, "servicedesk-url", "", "address of the service desk, such as https://desk.example.com:8080")
	flags.StringVar(&f.edition, "edition", "onprem", "onprem, cloud, msp_onprem, msp_cloud or generic")
	flags.StringVar(&f.apiKeyFile, "servicedesk-api-key-file", "", `file with the API key, - for standard input; for cloud editions JSON:
{"accounts_url","client_id","client_secret","refresh_token"}`)
	flags.StringSliceVar(&f.webhookAuth, "webhook-auth", []string{"hmac", "token", "standard"}, "accepted webhook credentials")
	flags.StringVar(&f.portal, "portal", "", "portal of a cloud or multi-portal desk")
	flags.StringVar(&f.noteKey, "note-key", "", "envelope of a note: note or request_note (default: found out)")
	flags.StringSliceVar(&f.accountIDs, "account-ids", nil, "MSP accounts whose tickets belong to the tenant (required for MSP editions)")
	flags.StringVar(&f.onAmbiguous, "on-ambiguous", "verify", "when nobody can know whether a note was written: verify or never_repost")
	flags.StringSliceVar(&f.allowedCIDRs, "allowed-cidrs", nil, "address ranges that webhooks may come from (default: any)")
	flags.StringVar(&f.preferencesFile, "preferences-file", "", "JSON file with preferences, - for standard input")
}

func (f *tenantFields) preferences(in io.Reader) (*tenant.Preferences, error) {
	if f.preferencesFile == "" {
		return nil, nil
	}
	raw, err := readInput(in, f.preferencesFile)
	if err != nil {
		return nil, err
	}
	p, err := tenant.ParsePreferences(raw)
	return &p, err
}

func (c *cli) tenantCreate() *cobra.Command {
	var f tenantFields
	var id, webhookSecretFile string
	cmd := &cobra.Command{
		Use: "create", Short: "Add a tenant; prints its webhook secret once", Args: cobra.NoArgs,
		Example: `  aiagents tenant create --id acme --name "Acme Clinics" \
    --servicedesk-url https://desk.acme.example:8443 --servicedesk-api-key-file key.txt`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for flag, value := range map[string]string{"id": id, "name": f.name, "servicedesk-url": f.url} {
				if value == "" {
					return usageError{fmt.Errorf("--%s is required", flag)}
				}
			}
			if f.apiKeyFile == "-" && webhookSecretFile == "-" || f.preferencesFile == "-" && (f.apiKeyFile == "-" || webhookSecretFile == "-") {
				return usageError{errors.New("only one of the files can be standard input")}
			}
			in := tenant.CreateInput{
				ID: id, Name: f.name, Edition: f.edition, ServiceDeskURL: f.url, WebhookAuth: f.webhookAuth, Portal: f.portal,
				NoteKey: f.noteKey, AccountIDs: f.accountIDs, OnAmbiguous: f.onAmbiguous, AllowedCIDRs: f.allowedCIDRs,
			}
			var err error
			if in.APIKey, err = readSecret(cmd.InOrStdin(), f.apiKeyFile); err != nil {
				return err
			}
			if in.WebhookSecret, err = readSecret(cmd.InOrStdin(), webhookSecretFile); err != nil {
				return err
			}
			if in.Preferences, err = f.preferences(cmd.InOrStdin()); err != nil {
				return err
			}
			return c.withSystem(cmd.Context(), func(ctx context.Context, s *system) error {
				made, err := s.operator.CreateTenant(ctx, actor(), in)
				if err != nil {
					return err
				}
				return c.printSecret(made)
			})
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&id, "id", "", "id, 1 to 100 of A-Z a-z 0-9 . _ -")
	cmd.Flags().StringVar(&webhookSecretFile, "webhook-secret-file", "", "file with a webhook secret of your own, - for standard input (default: a random one)")
	return c.outputFlag(cmd)
}

// printSecret shows a webhook secret, the one time that it is shown.
func (c *cli) printSecret(made operator.NewSecret) error {
	v := struct {
		TenantID      string `json:"tenant_id"`
		WebhookURL    string `json:"webhook_path"`
		WebhookSecret string `json:"webhook_secret"`
	}{made.Tenant.ID, made.Tenant.WebhookPath, made.Secret.Reveal()}
	return c.print(v, "", func(line func(...any)) {
		line("tenant", v.TenantID)
		line("webhook path", v.WebhookURL)
		line("webhook secret", v.WebhookSecret)
		line("", "(shown once: put it into the header X-ServiceDesk-Token of the desk's webhook)")
	})
}

func (c *cli) tenantList() *cobra.Command {
	return c.outputFlag(&cobra.Command{
		Use: "list", Short: "List all tenants", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withSystem(cmd.Context(), func(ctx context.Context, s *system) error {
				list, err := s.operator.Tenants(ctx)
				if err != nil {
					return err
				}
				return c.print(list, "ID NAME EDITION STATE URL", func(line func(...any)) {
					for _, t := range list {
						line(t.ID, t.Name, t.Edition, enabledOr(t.DisabledAt), t.ServiceDeskURL)
					}
				})
			})
		},
	})
}

func enabledOr(disabledAt *time.Time) string {
	if disabledAt != nil {
		return "disabled"
	}
	return "enabled"
}

// oneTenant makes a command on one tenant, given as argument or with --tenant.
func (c *cli) oneTenant(use, short string, run func(ctx context.Context, s *system, cmd *cobra.Command, id string) error) *cobra.Command {
	var flag string
	cmd := &cobra.Command{
		Use: use + " [ID]", Short: short, Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id := flag
			if len(args) == 1 {
				if id != "" && id != args[0] {
					return usageError{errors.New("the argument and --tenant name different tenants")}
				}
				id = args[0]
			}
			if id == "" {
				return usageError{errors.New("name a tenant: as argument or with --tenant")}
			}
			return c.withSystem(cmd.Context(), func(ctx context.Context, s *system) error { return run(ctx, s, cmd, id) })
		},
	}
	cmd.Flags().StringVar(&flag, "tenant", "", "id of the tenant, instead of the argument")
	return cmd
}

func (c *cli) tenantShow() *cobra.Command {
	return c.outputFlag(c.oneTenant("show", "Show a tenant, with secrets masked", func(ctx context.Context, s *system, _ *cobra.Command, id string) error {
		t, err := s.tenants.Fresh(ctx, id)
		if err != nil {
			return err
		}
		return c.print(t, "", func(line func(...any)) {
			line("id", t.ID)
			line("name", t.Name)
			line("state", enabledOr(t.DisabledAt))
			line("edition", t.Edition)
			line("service desk", t.ServiceDeskURL)
			line("api key", t.APIKey)
			line("webhook path", "/webhook/servicedesk/"+t.ID)
			line("webhook auth", strings.Join(t.WebhookAuth, ", "))
			line("webhook secret", t.WebhookSecret)
			if t.PreviousSecret.IsSet() && t.PreviousExpiresAt != nil {
				line("previous secret", fmt.Sprintf("%s until %s", t.PreviousSecret, t.PreviousExpiresAt.UTC().Format(time.RFC3339)))
			}
			line("account ids", strings.Join(t.Settings.AccountIDs, ", "))
			line("on ambiguous", t.Settings.OnAmbiguous)
			line("note language", t.Preferences.NoteLanguage)
			line("max words", t.Preferences.MaxWords)
			line("created", t.CreatedAt.UTC().Format(time.RFC3339))
		})
	}))
}

func (c *cli) tenantUpdate() *cobra.Command {
	var f tenantFields
	cmd := c.oneTenant("update", "Change a tenant; what has no flag stays as it is", func(ctx context.Context, s *system, cmd *cobra.Command, id string) error {
		in, err := f.update(cmd)
		if err != nil {
			return err
		}
		t, err := s.operator.UpdateTenant(ctx, actor(), id, in)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(c.out, "updated %s (version %d)\n", t.ID, t.Version)
		return err
	})
	f.add(cmd)
	return cmd
}

// update takes over the flags that were given, and only those.
func (f *tenantFields) update(cmd *cobra.Command) (tenant.UpdateInput, error) {
	var in tenant.UpdateInput
	given := cmd.Flags().Changed
	for flag, set := range map[string]func(){
		"name":            func() { in.Name = &f.name },
		"servicedesk-url": func() { in.ServiceDeskURL = &f.url },
		"edition":         func() { in.Edition = &f.edition },
		"webhook-auth":    func() { in.WebhookAuth = &f.webhookAuth },
		"portal":          func() { in.Portal = &f.portal },
		"note-key":        func() { in.NoteKey = &f.noteKey },
		"account-ids":     func() { in.AccountIDs = &f.accountIDs },
		"on-ambiguous":    func() { in.OnAmbiguous = &f.onAmbiguous },
		"allowed-cidrs":   func() { in.AllowedCIDRs = &f.allowedCIDRs },
	} {
		if given(flag) {
			set()
		}
	}
	if f.apiKeyFile != "" {
		key, err := readSecret(cmd.InOrStdin(), f.apiKeyFile)
		if err != nil {
			return in, err
		}
		in.APIKey = &key
	}
	var err error
	in.Preferences, err = f.preferences(cmd.InOrStdin())
	return in, err
}

func (c *cli) tenantRotate() *cobra.Command {
	var file string
	var grace time.Duration
	cmd := c.oneTenant("rotate-secret", "Replace the webhook secret; prints the new one once, the old one stays valid for a while",
		func(ctx context.Context, s *system, cmd *cobra.Command, id string) error {
			fresh, err := readSecret(cmd.InOrStdin(), file)
			if err != nil {
				return err
			}
			made, err := s.operator.RotateWebhookSecret(ctx, actor(), id, tenant.RotateInput{Secret: fresh, Grace: grace})
			if err != nil {
				return err
			}
			return c.printSecret(made)
		})
	cmd.Flags().StringVar(&file, "webhook-secret-file", "", "file with a secret of your own, - for standard input (default: a random one)")
	cmd.Flags().DurationVar(&grace, "grace", tenant.DefaultGrace, "how long the old secret stays valid")
	return c.outputFlag(cmd)
}

func (c *cli) tenantAct(use, short string, act func(ctx context.Context, s *system, id string) error) *cobra.Command {
	return c.oneTenant(use, short, func(ctx context.Context, s *system, _ *cobra.Command, id string) error {
		if err := act(ctx, s, id); err != nil {
			return err
		}
		_, err := fmt.Fprintf(c.out, "%sd %s\n", strings.TrimSuffix(use, "d"), id)
		return err
	})
}

func (c *cli) tenantAudit() *cobra.Command {
	var filter tenant.AuditFilter
	cmd := c.oneTenant("audit", "Show who did what to a tenant, the newest first", func(ctx context.Context, s *system, _ *cobra.Command, id string) error {
		entries, err := s.tenants.Audit(ctx, id, filter)
		if err != nil {
			return err
		}
		return c.print(entries, "AT ACTOR ACTION DETAIL", func(line func(...any)) {
			for _, e := range entries {
				line(e.At.UTC().Format(time.RFC3339), e.Actor, e.Action, string(e.Detail))
			}
		})
	})
	cmd.Flags().StringVar(&filter.Action, "action", "", "only one action, such as tenant.update")
	cmd.Flags().IntVar(&filter.Limit, "limit", 100, "how many, 1 to 1000")
	return c.outputFlag(cmd)
}

func (c *cli) tenantDelete() *cobra.Command {
	var yes bool
	cmd := c.oneTenant("delete", "Delete a tenant with all its data, for good", func(ctx context.Context, s *system, _ *cobra.Command, id string) error {
		if !yes {
			return usageError{fmt.Errorf("this deletes %s with its history, tickets, articles and inventory: add --yes to go on", id)}
		}
		total, err := s.operator.DeleteTenant(ctx, actor(), id)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(c.out, "deleted %s (%d rows)\n", id, total)
		return err
	})
	cmd.Flags().BoolVar(&yes, "yes", false, "really delete")
	return cmd
}

// readInput reads a file, or standard input for "-".
func readInput(in io.Reader, name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(io.LimitReader(in, 1<<20))
	}
	return os.ReadFile(name)
}

// readSecret reads a secret from a file or from standard input; an empty name is no secret.
func readSecret(in io.Reader, name string) (secret.Secret, error) {
	if name == "" {
		return secret.Secret{}, nil
	}
	raw, err := readInput(in, name)
	if err != nil {
		return secret.Secret{}, fmt.Errorf("read secret: %w", err)
	}
	text := strings.TrimSpace(string(raw))
	if text == "" {
		return secret.Secret{}, usageError{fmt.Errorf("the secret in %s is empty", name)}
	}
	return secret.New(text), nil
}
