package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"aiagents/internal/fault"
	"aiagents/modules/enhancement/retrieval"
	"aiagents/modules/enhancement/systems"
)

func (c *cli) ticketsCommand() *cobra.Command {
	group := &cobra.Command{Use: "tickets", Short: "Feed past tickets"}
	var tenantID, format string
	load := &cobra.Command{
		Use: "import FILE", Short: "Import past tickets from CSV or JSONL; - is standard input", Args: cobra.ExactArgs(1),
		Long: `Imports past tickets. Columns (CSV) or keys (JSONL): ticket_id, subject, description, resolution, resolved_at (RFC 3339,
with a zone), priority, tags (separated by ;). Others are ignored with a warning. Bad rows are reported with their line
and the rest is kept. Rows are committed in batches: a stopped import is simply run again, and a second run adds nothing.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := needTenant(tenantID); err != nil {
				return err
			}
			f, err := ticketFormat(format, args[0])
			if err != nil {
				return err
			}
			return c.withSystem(cmd.Context(), func(ctx context.Context, s *system) error {
				if _, err := s.tenants.Get(ctx, tenantID); err != nil {
					return err
				}
				in, size, err := openInput(cmd, args[0])
				if err != nil {
					return err
				}
				defer func() { _ = in.Close() }() // read only
				bar := c.byteBar("tickets")
				report, err := s.tickets.ImportTickets(ctx, tenantID, f, in, size, bar.set)
				bar.done()
				err = errors.Join(err, s.audit(ctx, tenantID, "tickets.import", map[string]any{"added": report.Added, "updated": report.Updated}))
				return errors.Join(c.printImport(report), err)
			})
		},
	}
	tenantFlag(load, &tenantID)
	load.Flags().StringVar(&format, "format", "", "csv or jsonl (default: by the file's name)")
	group.AddCommand(c.outputFlag(load), c.outputFlag(c.ticketsSync()))
	return group
}

func ticketFormat(format, file string) (retrieval.Format, error) {
	if format == "" {
		format = strings.ToLower(strings.TrimPrefix(filepath.Ext(file), "."))
	}
	switch format {
	case "csv":
		return retrieval.CSV, nil
	case "jsonl", "ndjson":
		return retrieval.JSONL, nil
	}
	return "", usageError{fmt.Errorf("cannot tell the format of %s: name it with --format csv or --format jsonl", file)}
}

// openInput opens a file, or standard input for "-". The size is 0 when it is not known.
func openInput(cmd *cobra.Command, name string) (io.ReadCloser, int64, error) {
	if name == "-" {
		return io.NopCloser(cmd.InOrStdin()), 0, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, 0, fault.Wrap(fault.NotFound, err, "the file cannot be opened")
	}
	info, err := f.Stat()
	if err != nil {
		return nil, 0, errors.Join(fmt.Errorf("read size of %s: %w", name, err), f.Close())
	}
	return f, info.Size(), nil
}

func (c *cli) printImport(r retrieval.Report) error {
	for _, w := range r.Warnings {
		_, _ = fmt.Fprintf(c.errOut, "warning: %s\n", w)
	}
	for _, e := range r.Errors {
		_, _ = fmt.Fprintf(c.errOut, "rejected: %s\n", e.Error())
	}
	return c.print(r, "ADDED UPDATED UNCHANGED REMOVED REJECTED", func(line func(...any)) {
		line(r.Added, r.Updated, r.Unchanged, r.Removed, r.Rejected)
	})
}

func (c *cli) knowledgeCommand() *cobra.Command {
	group := &cobra.Command{Use: "knowledge", Short: "Feed documentation"}
	var tenantID, collection string
	load := &cobra.Command{
		Use: "import DIR", Short: "Import Markdown, HTML and text articles from a folder", Args: cobra.ExactArgs(1),
		Long: `Imports the articles (.md .markdown .html .htm .txt) of a folder and its sub-folders. Files that did not change are not
touched, and what is gone from the folder is removed from the collection.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := needTenant(tenantID); err != nil {
				return err
			}
			return c.withSystem(cmd.Context(), func(ctx context.Context, s *system) error {
				if _, err := s.tenants.Get(ctx, tenantID); err != nil {
					return err
				}
				bar := c.byteBar("articles")
				report, err := s.tickets.ImportArticles(ctx, tenantID, collection, os.DirFS(args[0]), bar.set)
				bar.done()
				err = errors.Join(err, s.audit(ctx, tenantID, "knowledge.import", map[string]any{
					"collection": collection, "added": report.Added, "updated": report.Updated, "removed": report.Removed,
				}))
				return errors.Join(c.printImport(report), err)
			})
		},
	}
	tenantFlag(load, &tenantID)
	load.Flags().StringVar(&collection, "collection", "default", "name under which this folder's articles are kept apart from others'")
	group.AddCommand(c.outputFlag(load), c.outputFlag(c.knowledgeSync()))
	return group
}

func (c *cli) inventoryCommand() *cobra.Command {
	group := &cobra.Command{Use: "inventory", Short: "Feed the inventory"}
	var tenantID string
	var options systems.ImportOptions
	load := &cobra.Command{
		Use: "import FILE", Short: "Import hosts from CSV or JSONL; - is standard input", Args: cobra.ExactArgs(1),
		Long: `Imports hosts. Columns: ip (address or network), hostname, role, location; all others become metadata. Bad rows are
reported with their line and the rest is kept; a second run changes nothing. Hosts that the file does not have stay,
unless --prune retires them.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := needTenant(tenantID); err != nil {
				return err
			}
			return c.withSystem(cmd.Context(), func(ctx context.Context, s *system) error {
				if _, err := s.tenants.Get(ctx, tenantID); err != nil {
					return err
				}
				in, _, err := openInput(cmd, args[0])
				if err != nil {
					return err
				}
				defer func() { _ = in.Close() }() // read only
				bar := c.bar("hosts")
				report, err := s.inventory.Import(ctx, tenantID, in, options, func(r systems.Report) { bar.set(int64(r.Rows), 0) })
				bar.done()
				err = errors.Join(err, s.audit(ctx, tenantID, "inventory.import", map[string]any{
					"added": report.Added, "changed": report.Changed, "retired": report.Retired,
				}))
				return errors.Join(c.printInventory(report), err)
			})
		},
	}
	tenantFlag(load, &tenantID)
	load.Flags().BoolVar(&options.Prune, "prune", false, "retire hosts that the file does not have")
	group.AddCommand(c.outputFlag(load), c.outputFlag(c.inventorySync()))
	return group
}

func (c *cli) printInventory(r systems.Report) error {
	for _, e := range r.Errors {
		_, _ = fmt.Fprintf(c.errOut, "rejected: %s\n", e.Error())
	}
	if r.PruneSkipped != "" {
		_, _ = fmt.Fprintf(c.errOut, "warning: nothing was retired: %s\n", r.PruneSkipped)
	}
	return c.print(r, "ROWS ADDED CHANGED UNCHANGED REJECTED RETIRED", func(line func(...any)) {
		line(r.Rows, r.Added, r.Changed, r.Unchanged, r.Rejected, r.Retired)
	})
}
