package app

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"aiagents/app/housekeeping"
)

func (c *cli) housekeepingCommand() *cobra.Command {
	group := &cobra.Command{Use: "housekeeping", Short: "See and run the periodic tasks: retention, syncs, checks"}
	group.AddCommand(c.outputFlag(c.housekeepingList()), c.outputFlag(c.housekeepingRun()))
	return group
}

func (c *cli) housekeepingList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List every task with its last run, its result, and when it is due", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withSystem(cmd.Context(), func(ctx context.Context, s *system) error {
				list, err := s.housekeeping.List(ctx)
				if err != nil {
					return err
				}
				return c.print(list, "TASK STATE LAST_RUN ROWS NEXT_DUE DOES", func(line func(...any)) {
					for _, t := range list {
						line(t.Task, stateOf(t), at(t.LastFinishedAt), t.LastRows, nextDue(t), t.Does)
						if t.LastError != "" {
							line("", "", "", "", "", "└ "+clip(t.LastError))
						}
					}
				})
			})
		},
	}
}

// stateOf is a task's state in a word, the worst first.
func stateOf(t housekeeping.Status) string {
	switch {
	case t.EverySeconds == 0:
		return "off"
	case t.Overdue:
		return "overdue"
	case t.Running != nil:
		return "running"
	case t.LastResult == "":
		return "never"
	}
	return t.LastResult
}

func at(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}

func nextDue(t housekeeping.Status) string {
	if t.EverySeconds == 0 {
		return "-"
	}
	if t.NextDueAt == nil {
		return "with the next worker"
	}
	return at(t.NextDueAt)
}

func (c *cli) housekeepingRun() *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use: "run NAME", Short: "Run a task now, beside its schedule", Args: cobra.ExactArgs(1),
		Long: `Runs a task now, in this process, and prints how many rows it touched for each tenant. With --dry-run a task that removes
something only counts what it would remove. Rows go a thousand at a time; Ctrl-C ends it between two batches, and the next
run goes on from there.`,
		Example: "  aiagents housekeeping run retain_history --dry-run",
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withSystem(cmd.Context(), func(ctx context.Context, s *system) error {
				run, err := s.housekeeping.Run(ctx, args[0], dryRun)
				if err != nil {
					return err
				}
				if err := c.printRun(run); err != nil {
					return err
				}
				if run.Result != housekeeping.ResultOK {
					return fmt.Errorf("%s %s: %s", run.Task, run.Result, run.Error)
				}
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "count what would be removed and change nothing")
	return cmd
}

func (c *cli) printRun(run housekeeping.Run) error {
	verb := run.Result
	if run.DryRun {
		verb = "would remove"
	}
	return c.print(run, "TENANT ROWS RESULT", func(line func(...any)) {
		tenants := sortedKeys(run.ByTenant)
		slices.Sort(tenants)
		for _, id := range tenants {
			name := id
			if name == "" {
				name = "-"
			}
			line(name, run.ByTenant[id], verb)
		}
		line("(all)", run.Rows, verb)
	})
}
