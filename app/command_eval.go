package app

import (
	"context"
	"encoding/json"
	"fmt"
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
	retrieval := &cobra.Command{
		Use: "retrieval", Short: "Measure how well similar past tickets are found", Args: cobra.NoArgs,
		Long: `Loads the documents of DIR into a database of its own (the embedded Postgres, thrown away afterwards) and runs every query of
the split through the product's own search, as the application role under row-level security.

DIR holds corpus.jsonl.gz and queries.NAME.jsonl.gz with {"tenant","id","title","text"} a line, and qrels.NAME.tsv.gz with
query-id, corpus-id, score. Prints MRR@10, MAP (over 100), P@1, recall@5, recall@10, nDCG@10 and ms a query, overall and per
tenant, and the calibration of the shown probability.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if options.Data == "" || options.Split == "" {
				return usageError{fmt.Errorf("--data and --split are required")}
			}
			report, err := c.evaluate(cmd.Context(), options)
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
	retrieval.Flags().StringVar(&options.Data, "data", "", "folder with the data (required)")
	retrieval.Flags().StringVar(&options.Split, "split", "", "name of the queries, such as dev (required)")
	group.AddCommand(c.outputFlag(retrieval))
	return group
}

// evaluate runs on a server of its own, so that an evaluation can never touch an installation's data.
func (c *cli) evaluate(ctx context.Context, options eval.Options) (report eval.Report, err error) {
	dir, err := embedded.TempDir(fmt.Sprintf("aiagents-eval-%d", os.Getpid()))
	if err != nil {
		return report, err
	}
	defer func() { _ = os.RemoveAll(dir) }() // temporary
	server, err := embedded.Start(ctx, embedded.Options{DataDir: dir, Progress: c.progressLines()})
	if err != nil {
		return report, err
	}
	defer server.Stop(context.WithoutCancel(ctx))
	options.Log = slog.New(slog.DiscardHandler)
	if _, err := db.MigrateUp(ctx, server.OwnerURL(), server.AppURL(), options.Log); err != nil {
		return report, err
	}
	d, err := db.Open(ctx, server.AppURL(), db.DefaultConfig())
	if err != nil {
		return report, err
	}
	defer d.Close()
	return eval.Run(ctx, d, options)
}
