package app

import (
	"context"
	"errors"
	"log/slog"

	"github.com/spf13/cobra"

	"aiagents/db"
	"aiagents/internal/fault"
)

func (c *cli) migrateCommand() *cobra.Command {
	group := &cobra.Command{
		Use: "migrate", Short: "Move the database schema",
		Long: `Moves our schema and River's under one lock; any number of runs at once is safe.

The owner role comes from AI_AGENTS_MIGRATION_DATABASE_URL (default AI_AGENTS_DATABASE_URL). When the two name different
roles, 'up' grants the role of AI_AGENTS_DATABASE_URL exactly what it needs, so that a fresh role works at once.
No encryption keys are needed.`,
	}
	up := &cobra.Command{
		Use: "up", Short: "Bring the schema to this version, and grant the app role what it needs", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.migrate(cmd.Context(), func(ctx context.Context, owner, app string, log *slog.Logger) (db.SchemaStatus, error) {
				return db.MigrateUp(ctx, owner, app, log)
			})
		},
	}
	var steps int
	var all bool
	down := &cobra.Command{
		Use: "down", Short: "Take migrations back, with their data", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if steps < 1 && !all {
				return usageError{errors.New("say how much to take back: --steps N, or --all for everything")}
			}
			if all {
				steps = 0
			}
			return c.migrate(cmd.Context(), func(ctx context.Context, owner, _ string, log *slog.Logger) (db.SchemaStatus, error) {
				return db.MigrateDown(ctx, owner, steps, log)
			})
		},
	}
	down.Flags().IntVar(&steps, "steps", 0, "number of migrations to take back")
	down.Flags().BoolVar(&all, "all", false, "take everything back, River's schema too; all data is lost")
	status := &cobra.Command{
		Use: "status", Short: "Show the schema against this version; exit 1 when it is behind", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var behind bool
			err := c.migrate(cmd.Context(), func(ctx context.Context, owner, _ string, _ *slog.Logger) (db.SchemaStatus, error) {
				s, err := db.ReadSchemaStatus(ctx, owner)
				behind = s.Behind()
				return s, err
			})
			if err == nil && behind {
				return fault.New(fault.Conflict, "the schema is behind this version: run `aiagents migrate up`")
			}
			return err
		},
	}
	group.AddCommand(c.outputFlag(up), c.outputFlag(down), c.outputFlag(status))
	return group
}

// migrate runs act against the configured database, or the embedded one in development.
func (c *cli) migrate(ctx context.Context, act func(ctx context.Context, owner, app string, log *slog.Logger) (db.SchemaStatus, error)) error {
	cfg, err := loadMigrationConfig(c.configFile, c.environ)
	if err != nil {
		return err
	}
	logger := newLogger(c.errOut, cfg)
	owner, app := cfg.migrationURL(), cfg.Database.URL.Reveal()
	if app == "" {
		app = owner
	}
	if owner == "" {
		d, err := openDatabase(ctx, cfg, true, logger, c.progressLines())
		if err != nil {
			return err
		}
		defer d.close(context.WithoutCancel(ctx))
		owner, app = d.ownerURL, d.appURL
	}
	s, err := act(ctx, owner, app, logger)
	if err != nil {
		return err
	}
	return c.print(s, "SCHEMA AT LATEST", func(line func(...any)) {
		line("aiagents", s.Current, s.Latest)
		line("river", s.RiverCurrent, s.RiverLatest)
	})
}
