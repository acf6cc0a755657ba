package app

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

func (c *cli) configCommand() *cobra.Command {
	group := &cobra.Command{Use: "config", Short: "Check and show the configuration"}
	check := &cobra.Command{
		Use: "check", Short: "Report all faults of the configuration at once", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			cfg, err := c.config()
			if err != nil {
				return err
			}
			for _, name := range unknownVariables(&cfg, c.environ) {
				_, _ = fmt.Fprintf(c.errOut, "warning: %s is no setting of this program\n", name)
			}
			_, err = fmt.Fprintln(c.out, "the configuration is valid")
			return err
		},
	}
	var diff bool
	show := &cobra.Command{
		Use: "show", Short: "Show the effective configuration, with secrets masked", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			cfg, err := c.config()
			if err != nil {
				return err
			}
			values := effective(&cfg)
			if diff {
				defaults := defaultConfig()
				base := effective(&defaults)
				maps.DeleteFunc(values, func(key, value string) bool { return base[key] == value })
			}
			return c.print(values, "KEY VALUE VARIABLE", func(line func(...any)) {
				names := variableNames(&cfg)
				for _, key := range sortedKeys(values) {
					line(key, values[key], names[key])
				}
			})
		},
	}
	show.Flags().BoolVar(&diff, "diff", false, "only what differs from the defaults")
	group.AddCommand(check, c.outputFlag(show))
	return group
}

// effective is every setting as text. Secrets print as [set] or [not set] by their own type.
func effective(cfg *Config) map[string]string {
	values := map[string]string{}
	for _, s := range settings(cfg) {
		if list, ok := s.value.Interface().([]string); ok {
			values[s.key] = strings.Join(list, ", ")
			continue
		}
		values[s.key] = fmt.Sprint(s.value.Interface())
	}
	return values
}

func variableNames(cfg *Config) map[string]string {
	names := map[string]string{}
	for _, s := range settings(cfg) {
		names[s.key] = envPrefix + s.env
	}
	return names
}

// unknownVariables lists variables with our prefix that set nothing: most often a misspelt name. They are no faults, since
// Kubernetes adds variables of its own for services whose names begin like ours.
func unknownVariables(cfg *Config, environ []string) []string {
	known := map[string]bool{envPrefix + "CONFIG": true}
	for _, name := range variableNames(cfg) {
		known[name], known[name+"_FILE"] = true, true
	}
	var unknown []string
	for _, entry := range environ {
		name, _, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, envPrefix) && !known[name] {
			unknown = append(unknown, name)
		}
	}
	return unknown
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func (c *cli) keysCommand() *cobra.Command {
	group := &cobra.Command{Use: "keys", Short: "Manage encryption keys"}
	rotate := &cobra.Command{
		Use: "rotate", Short: "Protect every tenant's secrets with the first key of the keyring", Args: cobra.NoArgs,
		Long: `Put a new key first in AI_AGENTS_ENCRYPTION_KEYS and keep the old one behind it, restart all processes, then run this.
It works while the system runs, can be interrupted and run again, and skips what is done. After it, the old key may go.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withSystem(cmd.Context(), func(ctx context.Context, s *system) error {
				bar := c.bar("tenants")
				result, err := s.tenants.RotateKeys(ctx, actor(), func(done, total int) { bar.set(int64(done), int64(total)) })
				bar.done()
				if err != nil {
					return err
				}
				return c.print(result, "", func(line func(...any)) {
					line("re-encrypted", result.Rewrapped)
					line("already done", result.Current)
				})
			})
		},
	}
	group.AddCommand(c.outputFlag(rotate))
	return group
}
