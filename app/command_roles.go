package app

import (
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// buildVersion and buildCommit are set by the linker in a release.
var (
	buildVersion = ""
	buildCommit  = ""
)

// version is the release, or what the Go toolchain knows of this build.
func version() string {
	if buildVersion != "" {
		return buildVersion
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "dev"
}

func commit() string {
	if buildCommit != "" {
		return buildCommit
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				return s.Value
			}
		}
	}
	return "unknown"
}

func (c *cli) roleCommand(name string) *cobra.Command {
	r := roles[name]
	return &cobra.Command{
		Use: name, Short: r.description, Args: cobra.NoArgs,
		Long: r.description + `.

In development without AI_AGENTS_DATABASE_URL, the embedded Postgres is started and migrated; elsewhere a missing URL is an
error. SIGTERM and Ctrl-C stop in order: not ready, requests, running jobs, connections.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := c.config()
			if err != nil {
				return err
			}
			p, err := start(cmd.Context(), r, cfg, c.errOut, c.progressLines())
			if err != nil {
				return err
			}
			forgetStart()
			return p.run(cmd.Context())
		},
	}
}

func (c *cli) versionCommand() *cobra.Command {
	return c.outputFlag(&cobra.Command{
		Use: "version", Short: "Print version, commit and Go version", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			v := struct {
				Version string `json:"version"`
				Commit  string `json:"commit"`
				Go      string `json:"go"`
			}{version(), commit(), runtime.Version()}
			return c.print(v, "", func(line func(...any)) {
				line("version", v.Version)
				line("commit", v.Commit)
				line("go", v.Go)
			})
		},
	})
}
