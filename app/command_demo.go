package app

import (
	"strings"

	"github.com/spf13/cobra"
)

func (c *cli) demoCommand() *cobra.Command {
	var keep bool
	cmd := &cobra.Command{
		Use: "demo", Short: "Show the main job, for real, on this machine alone", Args: cobra.NoArgs,
		Long: `Starts the embedded Postgres, creates two tenants with past tickets, articles and inventory, starts a ServiceDesk Plus
simulator for each, files tickets there, and lets the desks send real webhooks to a real 'all' role. Prints the notes as
technicians see them.

It needs no configuration, no network and no server. Postgres binaries are used when installed, else fetched once. With
AI_AGENTS_OPENAI_API_KEY (and AI_AGENTS_OPENAI_BASE_URL) a model writes the notes; without, they are facts-only.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig("", modelVariables(c.environ))
			if err != nil {
				return err
			}
			return runDemo(cmd.Context(), cfg.OpenAI, keep, c.out)
		},
	}
	cmd.Flags().BoolVar(&keep, "keep", false, "leave it running, to look around in a browser, until Ctrl-C")
	return cmd
}

// modelVariables are the only settings that the demo takes from the environment.
func modelVariables(environ []string) []string {
	var kept []string
	for _, entry := range environ {
		if strings.HasPrefix(entry, envPrefix+"OPENAI_") {
			kept = append(kept, entry)
		}
	}
	return kept
}
