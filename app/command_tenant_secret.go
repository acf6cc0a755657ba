package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

func (c *cli) tenantSecretCommand() *cobra.Command {
	group := &cobra.Command{
		Use: "secret", Short: "Keep the secrets of a tenant's monitoring and documentation systems",
		Long: `Preferences refer to these secrets by name ("auth_ref"); the secrets themselves are sealed and never shown again.`,
	}
	var tenantID, file string
	set := &cobra.Command{
		Use: "set NAME", Short: "Store a secret, read from a file or from standard input", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := needTenant(tenantID); err != nil {
				return err
			}
			if file == "" {
				return usageError{errors.New("--file is required: a file, or - for standard input")}
			}
			value, err := readSecret(cmd.InOrStdin(), file)
			if err != nil {
				return err
			}
			return c.withSystem(cmd.Context(), func(ctx context.Context, s *system) error {
				if err := s.tenants.SetSecret(ctx, actor(), tenantID, args[0], value); err != nil {
					return err
				}
				_, err := fmt.Fprintf(c.out, "stored %s of %s\n", args[0], tenantID)
				return err
			})
		},
	}
	set.Flags().StringVar(&file, "file", "", "file with the secret, - for standard input (required)")
	list := &cobra.Command{
		Use: "list", Short: "List the names of a tenant's secrets", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := needTenant(tenantID); err != nil {
				return err
			}
			return c.withSystem(cmd.Context(), func(ctx context.Context, s *system) error {
				names, err := s.tenants.Secrets(ctx, tenantID)
				if err != nil {
					return err
				}
				return c.print(names, "NAME UPDATED", func(line func(...any)) {
					for _, n := range names {
						line(n.Name, n.UpdatedAt.UTC().Format(time.RFC3339))
					}
				})
			})
		},
	}
	remove := &cobra.Command{
		Use: "delete NAME", Short: "Forget a secret", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := needTenant(tenantID); err != nil {
				return err
			}
			return c.withSystem(cmd.Context(), func(ctx context.Context, s *system) error {
				return s.tenants.DeleteSecret(ctx, actor(), tenantID, args[0])
			})
		},
	}
	for _, cmd := range []*cobra.Command{set, list, remove} {
		tenantFlag(cmd, &tenantID)
	}
	group.AddCommand(set, c.outputFlag(list), remove)
	return group
}
