package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"aiagents/app/operator"
	"aiagents/modules/enhancement"
	"aiagents/modules/enhancement/evidence"
	"aiagents/modules/enhancement/note"
)

func (c *cli) enhancementCommand() *cobra.Command {
	group := &cobra.Command{Use: "enhancement", Short: "Look at the history of notes, run one again, preview one"}
	group.AddCommand(c.enhancementList(), c.enhancementShow(), c.enhancementRetry(), c.enhancementPreview())
	return group
}

func (c *cli) enhancementList() *cobra.Command {
	var filter operator.EnhancementFilter
	cmd := &cobra.Command{
		Use: "list", Short: "List a tenant's enhancements, the newest first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := needTenant(filter.TenantID); err != nil {
				return err
			}
			if filter.Limit < 1 || filter.Limit > 1000 {
				return usageError{errors.New("--limit must be 1 to 1000")}
			}
			if filter.Status != "" && !slices.Contains([]string{"pending", "completed", "failed"}, filter.Status) {
				return usageError{fmt.Errorf("--status must be pending, completed or failed, is %q", filter.Status)}
			}
			return c.withSystem(cmd.Context(), func(ctx context.Context, s *system) error {
				list, err := s.operator.AllEnhancements(ctx, filter)
				if err != nil {
					return err
				}
				return c.print(list, "ID TICKET STATUS OUTCOME TOOK CREATED WHY", func(line func(...any)) {
					for _, e := range list {
						line(e.ID, e.TicketID, e.Status, e.Outcome, took(e.ProcessingTimeMs), e.CreatedAt.UTC().Format(time.RFC3339), why(e.Summary))
					}
				})
			})
		},
	}
	tenantFlag(cmd, &filter.TenantID)
	cmd.Flags().StringVar(&filter.Status, "status", "", "only pending, completed or failed")
	cmd.Flags().StringVar(&filter.TicketID, "ticket-id", "", "only those of one ticket")
	cmd.Flags().IntVar(&filter.Limit, "limit", 50, "how many, 1 to 1000")
	return c.outputFlag(cmd)
}

func took(ms *int) string {
	if ms == nil {
		return "-"
	}
	return (time.Duration(*ms) * time.Millisecond).String()
}

// why says in one line what an operator wants to know about a run that made no full note.
func why(e enhancement.Summary) string {
	if e.ErrorMessage != nil {
		return *e.ErrorMessage
	}
	return e.Reason
}

func (c *cli) enhancementShow() *cobra.Command {
	var tenantID string
	cmd := &cobra.Command{
		Use: "show ID", Short: "Show one enhancement with its context, note, timings and cost", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := runArgument(tenantID, args[0])
			if err != nil {
				return err
			}
			return c.withSystem(cmd.Context(), func(ctx context.Context, s *system) error {
				d, err := s.operator.Enhancement(ctx, tenantID, id)
				if err != nil {
					return err
				}
				return c.print(d, "", func(line func(...any)) { c.detail(d, line) })
			})
		},
	}
	tenantFlag(cmd, &tenantID)
	return c.outputFlag(cmd)
}

func runArgument(tenantID, text string) (uuid.UUID, error) {
	if err := needTenant(tenantID); err != nil {
		return uuid.Nil, err
	}
	id, err := uuid.Parse(text)
	if err != nil {
		return uuid.Nil, usageError{fmt.Errorf("%q is no id of an enhancement: they are UUIDs, see 'aiagents enhancement list'", text)}
	}
	return id, nil
}

func (c *cli) detail(d operator.EnhancementDetail, line func(...any)) {
	line("id", d.ID)
	line("ticket", d.TicketID)
	line("event", d.Event)
	line("status", strings.TrimSpace(d.Status+" "+d.Outcome))
	line("why", d.Explanation.Text)
	if d.Explanation.Next != "" {
		line("next", d.Explanation.Next)
	}
	line("stage", d.Stage)
	line("reference", d.Reference)
	line("note id", d.NoteID)
	line("attempts", d.Attempts)
	line("received", d.CreatedAt.UTC().Format(time.RFC3339))
	line("took", took(d.ProcessingTimeMs))
	for _, stage := range sortedKeys(d.Timings) {
		line("  "+strings.TrimSuffix(stage, "_ms"), fmt.Sprintf("%d ms", d.Timings[stage]))
	}
	line("model calls", len(d.Calls))
	for _, call := range d.Calls {
		line("  "+call.Model, fmt.Sprintf("%s, %d + %d tokens, %d ms, $%.6f", call.Outcome, call.PromptTokens, call.CompletionTokens, call.DurationMs, call.CostUSD))
	}
	line("cost", fmt.Sprintf("$%.6f", d.CostUSD))
	if f := d.Findings; f != nil {
		line("hidden text removed", f.Hidden.Total())
		for _, kind := range sortedKeys(f.Masked) {
			line("masked "+kind, f.Masked[kind])
		}
		line("statements dropped", len(f.Drops))
		if len(f.RetiredModels) > 0 {
			line("retired models", strings.Join(f.RetiredModels, ", "))
		}
	}
	if d.Context != nil {
		for _, s := range d.Context.Sources {
			line("source "+s.Name, fmt.Sprintf("%s (%d) in %d ms", s.Outcome, s.Found, s.Duration.Milliseconds()))
		}
		line("evidence", strings.Join(d.Context.IDs(), " "))
	}
	if d.NoteHTML != nil {
		line("", "")
		line("note", "")
		line(note.TextOf(*d.NoteHTML, 0))
	}
}

func (c *cli) enhancementRetry() *cobra.Command {
	var tenantID string
	cmd := &cobra.Command{
		Use: "retry ID", Short: "Run an enhancement again; its note is replaced, never doubled", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := runArgument(tenantID, args[0])
			if err != nil {
				return err
			}
			return c.withSystem(cmd.Context(), func(ctx context.Context, s *system) error {
				if err := s.operator.Retry(ctx, actor(), tenantID, id); err != nil {
					return err
				}
				_, err := fmt.Fprintf(c.out, "queued %s again\n", id)
				return err
			})
		},
	}
	tenantFlag(cmd, &tenantID)
	return cmd
}

func (c *cli) enhancementPreview() *cobra.Command {
	var tenantID, ticketID, description, subject string
	cmd := &cobra.Command{
		Use: "preview", Short: "Make a note and print it; nothing is posted and nothing is kept", Args: cobra.NoArgs,
		Example: `  aiagents enhancement preview --tenant acme --description "VPN error 809 from 10.2.3.4"`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := needTenant(tenantID); err != nil {
				return err
			}
			if (ticketID == "") == (description == "") {
				return usageError{errors.New("give one of --ticket-id and --description")}
			}
			return c.withSystem(cmd.Context(), func(ctx context.Context, s *system) error {
				p, err := s.enhancements.Preview(ctx, tenantID, evidence.Ticket{ID: ticketID, Subject: subject, Description: description})
				if err != nil {
					return err
				}
				if c.output == "json" {
					return c.print(p, "", nil)
				}
				_, err = fmt.Fprintln(c.out, p.Text)
				return err
			})
		},
	}
	tenantFlag(cmd, &tenantID)
	cmd.Flags().StringVar(&ticketID, "ticket-id", "", "ticket of the desk")
	cmd.Flags().StringVar(&description, "description", "", "text of a ticket, instead of one of the desk")
	cmd.Flags().StringVar(&subject, "subject", "", "subject that goes with --description")
	return c.outputFlag(cmd)
}
