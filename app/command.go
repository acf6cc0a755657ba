package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"os/user"
	"strings"
	"syscall"
	"text/tabwriter"
	_ "time/tzdata" // an image from scratch has no time zones, and TZ may name one

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"aiagents/internal/fault"
)

// The exit codes of every command.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// usageError is a command line that cannot be understood, apart from one that was understood and failed.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// Main runs the command line of this process and returns its exit code.
func Main() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return Run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Environ())
}

// Run is Main with everything that it takes from the process.
func Run(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer, environ []string) int {
	c := &cli{out: out, errOut: errOut, environ: environ}
	root := c.root()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
	cmd, err := root.ExecuteContextC(ctx)
	return c.report(cmd, err)
}

// report prints a failed command's error, with the details of each field, and chooses the exit code.
func (c *cli) report(cmd *cobra.Command, err error) int {
	if err == nil {
		return exitDone
	}
	var usage usageError
	if errors.As(err, &usage) || strings.HasPrefix(err.Error(), "unknown command") {
		_, _ = fmt.Fprintf(c.errOut, "Error: %v\nRun '%s --help' for usage.\n", err, cmd.CommandPath())
		return exitUsage
	}
	if errors.Is(err, errSilent) {
		return exitFailed
	}
	_, _ = fmt.Fprintf(c.errOut, "Error: %v\n", err)
	var f *fault.Error
	if errors.As(err, &f) {
		for _, field := range sortedKeys(f.Details) {
			_, _ = fmt.Fprintf(c.errOut, "  %s: %s\n", field, f.Details[field])
		}
	}
	return exitFailed
}

// errSilent fails a command that has already said why.
var errSilent = errors.New("failed")

// cli is one run of the command line.
type cli struct {
	out, errOut io.Writer
	environ     []string
	configFile  string
	output      string
}

func (c *cli) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "aiagents",
		Short: "Write what is known about a new ticket back on the ticket",
		Long: `aiagents receives the webhook of a new ticket, searches the customer's past tickets, documentation, inventory and
monitoring, and writes what it found back on the ticket as one private note.

Try it without any set-up:

  aiagents demo

Settings come from defaults, then the file given with --config, then AI_AGENTS_* environment variables;
AI_AGENTS_<NAME>_FILE reads a value from a file. 'aiagents config show' prints the result with secrets masked.`,
		SilenceUsage: true, SilenceErrors: true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if flag := cmd.Flags().Lookup("output"); flag != nil && c.output != "table" && c.output != "json" {
				return usageError{fmt.Errorf("--output must be table or json, is %q", c.output)}
			}
			return nil
		},
	}
	root.PersistentFlags().StringVar(&c.configFile, "config", lookupEnv(c.environ, envPrefix+"CONFIG"), "YAML file with settings (AI_AGENTS_CONFIG)")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(
		c.demoCommand(), c.roleCommand("serve"), c.roleCommand("work"), c.roleCommand("all"),
		c.migrateCommand(), c.tenantCommand(), c.ticketsCommand(), c.knowledgeCommand(), c.inventoryCommand(),
		c.enhancementCommand(), c.webhookCommand(), c.configCommand(), c.doctorCommand(), c.keysCommand(), c.evalCommand(), c.versionCommand(),
		c.housekeepingCommand(),
	)
	for _, cmd := range root.Commands() {
		refineUsage(cmd)
	}
	return root
}

// refineUsage makes faults of arguments usage errors, and a group without a verb one too.
func refineUsage(cmd *cobra.Command) {
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				return usageError{err}
			}
			return nil
		}
	}
	if cmd.HasSubCommands() && cmd.RunE == nil {
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("unknown command %q for %q", args[0], cmd.CommandPath())}
			}
			return usageError{fmt.Errorf("%q needs a command: see --help", cmd.CommandPath())}
		}
	}
	for _, sub := range cmd.Commands() {
		refineUsage(sub)
	}
}

// outputFlag adds --output to a command that reads.
func (c *cli) outputFlag(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().StringVarP(&c.output, "output", "o", "table", "table or json")
	return cmd
}

// tenantFlag adds --tenant to a command that needs one.
func tenantFlag(cmd *cobra.Command, into *string) {
	cmd.Flags().StringVar(into, "tenant", "", "id of the tenant (required)")
}

// needTenant reports a missing --tenant as wrong usage.
func needTenant(id string) error {
	if id == "" {
		return usageError{errors.New("--tenant is required: the id of a tenant, see 'aiagents tenant list'")}
	}
	return nil
}

// config loads the configuration of a command.
func (c *cli) config() (Config, error) { return loadConfig(c.configFile, c.environ) }

// withSystem runs fn with every module wired, and closes everything after it.
func (c *cli) withSystem(ctx context.Context, fn func(ctx context.Context, s *system) error) error {
	cfg, err := c.config()
	if err != nil {
		return err
	}
	if cfg.Log.Level == "info" {
		cfg.Log.Level = "warn" // a person reads the result here, not the routine
	}
	cfg.Database.MinConns = 0
	logger := newLogger(c.errOut, cfg)
	tel, err := newTelemetry(ctx, logger, cfg.Telemetry, version())
	if err != nil {
		return err
	}
	d, err := openDatabase(ctx, cfg, true, logger, c.progressLines())
	if err != nil {
		return err
	}
	defer d.close(context.WithoutCancel(ctx))
	if err := d.guard(ctx, cfg, logger); err != nil {
		return err
	}
	keys, err := openKeyring(cfg, d)
	if err != nil {
		return err
	}
	s, err := wire(d.DB, keys, cfg, tel)
	if err != nil {
		return err
	}
	defer s.close(context.WithoutCancel(ctx))
	if s.queue.client, err = newInserter(d.Pool(), s.workers, slog.New(slog.DiscardHandler)); err != nil {
		return err
	}
	return fn(ctx, s)
}

// progressLines is where lines about slow work go: a terminal, and nothing otherwise.
func (c *cli) progressLines() io.Writer {
	if isTerminal(c.errOut) {
		return c.errOut
	}
	return io.Discard
}

// print writes v as JSON, or a table made by rows.
func (c *cli) print(v any, header string, rows func(line func(cells ...any))) error {
	if c.output == "json" {
		enc := json.NewEncoder(c.out)
		enc.SetIndent("", "  ")
		enc.SetEscapeHTML(false)
		return enc.Encode(v)
	}
	w := tabwriter.NewWriter(c.out, 0, 8, 2, ' ', 0)
	if header != "" {
		_, _ = fmt.Fprintln(w, strings.ReplaceAll(header, " ", "\t"))
	}
	rows(func(cells ...any) {
		for i, cell := range cells {
			if i > 0 {
				_, _ = fmt.Fprint(w, "\t")
			}
			_, _ = fmt.Fprint(w, cell)
		}
		_, _ = fmt.Fprintln(w)
	})
	return w.Flush()
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

func lookupEnv(environ []string, name string) string {
	for _, entry := range environ {
		if key, value, ok := strings.Cut(entry, "="); ok && key == name {
			return value
		}
	}
	return ""
}

// actor names who runs a command, for the audit log.
func actor() string {
	u, err := user.Current()
	if err != nil {
		return "cli"
	}
	return "cli:" + u.Username
}
