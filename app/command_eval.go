package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"aiagents/db"
	"aiagents/db/embedded"
	"aiagents/modules/enhancement/retrieval/eval"
)

func (c *cli) evalCommand() *cobra.Command {
	group := &cobra.Command{Use: "eval", Short: "Measure the quality of what is found"}
	var options eval.Options
	var tenantID string
	var ablation bool
	retrieval := &cobra.Command{
		Use: "retrieval", Short: "Measure how well similar past tickets are found", Args: cobra.NoArgs,
		Long: `With --data and --split: loads the documents of DIR into a database of its own (the embedded Postgres, thrown away
afterwards) and runs every query of the split through the product's own search, as the application role under row-level
security. DIR holds corpus.jsonl.gz and queries.NAME.jsonl.gz with {"tenant","id","title","text"} a line, and
qrels.NAME.tsv.gz with query-id, corpus-id, score. Prints MRR@10, MAP (over 100), P@1, recall@5, recall@10, nDCG@10 and ms
a query, overall and per tenant, the calibration of the shown probability, and what each floor would show. With --ablation:
nDCG@10 with parts of the ranking left out, with weights fitted on the other tenants, and with random ticket numbers.

With --tenant: measures the same on the tenant's own history, which is only read. Tickets count as linked by a tag such as
duplicate-of:ID or by a resolution that names another ticket; where these make fewer than 10 groups, also by the same
resolution word for word or the same two or more tags (each up to 10 tickets), which the report says. The newest ticket of
each group is searched for, with itself left out. At least 10 groups are needed.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			labelled := options.Data != "" && options.Split != ""
			if (tenantID == "") != labelled || tenantID != "" && (options.Data != "" || options.Split != "" || ablation) {
				return usageError{fmt.Errorf("either --data and --split are required, or --tenant alone")}
			}
			report, err := c.evaluate(cmd.Context(), options, tenantID, ablation)
			if err != nil {
				return err
			}
			if c.output == "json" {
				enc := json.NewEncoder(c.out)
				enc.SetIndent("", "  ")
				return enc.Encode(report)
			}
			return report.WriteTable(c.out)
		},
	}
	retrieval.Flags().StringVar(&options.Data, "data", "", "folder with labelled data")
	retrieval.Flags().StringVar(&options.Split, "split", "", "name of the queries, such as dev")
	retrieval.Flags().BoolVar(&ablation, "ablation", false, "measure what each part of the ranking is worth")
	retrieval.Flags().StringVar(&tenantID, "tenant", "", "id of a tenant whose own history is measured")
	group.AddCommand(c.outputFlag(retrieval))
	return group
}

// evaluation is a report of any kind.
type evaluation interface{ WriteTable(w io.Writer) error }

func (c *cli) evaluate(ctx context.Context, options eval.Options, tenantID string, ablation bool) (report evaluation, err error) {
	if tenantID == "" {
		return c.evaluateData(ctx, options, ablation)
	}
	err = c.withSystem(ctx, func(ctx context.Context, s *system) error {
		if _, err := s.tenants.Get(ctx, tenantID); err != nil {
			return err
		}
		cfg, err := c.config()
		if err != nil {
			return err
		}
		report, err = eval.RunHistory(ctx, s.tickets, tenantID, cfg.Retrieval.SimilarFloor)
		return err
	})
	return report, err
}

// evaluateData runs on a server of its own, so that an evaluation can never touch an installation's data.
func (c *cli) evaluateData(ctx context.Context, options eval.Options, ablation bool) (report evaluation, err error) {
	dir, err := embedded.TempDir(fmt.Sprintf("aiagents-eval-%d", os.Getpid()))
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }() // temporary
	server, err := embedded.Start(ctx, embedded.Options{DataDir: dir, Progress: c.progressLines()})
	if err != nil {
		return nil, err
	}
	defer server.Stop(context.WithoutCancel(ctx))
	options.Log = slog.New(slog.DiscardHandler)
	if _, err := db.MigrateUp(ctx, server.OwnerURL(), server.AppURL(), options.Log); err != nil {
		return nil, err
	}
	d, err := db.Open(ctx, server.AppURL(), db.DefaultConfig())
	if err != nil {
		return nil, err
	}
	defer d.Close()
	if ablation {
		return eval.Ablate(ctx, d, options)
	}
	return eval.Run(ctx, d, options)
}
