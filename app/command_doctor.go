package app

import (
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/spf13/cobra"
)

// doctorMaxLines bounds what a table shows; JSON has all of it.
const doctorMaxLines = 100

func (c *cli) doctorCommand() *cobra.Command {
	var tenantID, hook string
	cmd := &cobra.Command{
		Use: "doctor", Short: "Check everything that must be right, and say what to do about what is not", Args: cobra.NoArgs,
		Long: `Checks configuration, database, roles, queue, keys, model and, for every tenant, its desk, recent history and webhook.
Each line is ok, warn or fail; one fail makes the exit code 1. What depends on a part that failed is skipped.

It asks the model for a few tokens, and sends each tenant's webhook a signed test of the event "aiagents_doctor", which is
recorded as skipped, once a day. Nothing is written to a desk. A connection that was paused and works again is resumed.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if u, err := url.Parse(hook); hook != "" && (err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http") {
				return usageError{fmt.Errorf("--url must be an address such as https://hooks.example.com/webhook/servicedesk, is %q", hook)}
			}
			cfg, err := c.config()
			if err != nil {
				return c.printFindings(faultyConfiguration(err))
			}
			cfg.Database.MinConns = 0
			bar := c.bar("tenants")
			d := &doctor{
				cfg: cfg, environ: c.environ, tenantID: tenantID, hook: hook, hookSet: hook != "", now: time.Now, progress: c.progressLines(),
				examined: func(done, total int) { bar.set(int64(done), int64(total)) },
			}
			if hook == "" {
				d.hook = localURL(cfg.HTTP.Addr) + "/webhook/servicedesk"
			}
			found := d.examine(cmd.Context())
			bar.done()
			return c.printFindings(found)
		},
	}
	cmd.Flags().StringVar(&tenantID, "tenant", "", "examine this tenant only")
	cmd.Flags().StringVar(&hook, "url", "", "address of the webhook as the desks use it (default: the webhook of this machine)")
	return c.outputFlag(cmd)
}

// printFindings prints an examination, and fails silently when something failed: the lines have said it.
func (c *cli) printFindings(found []finding) error {
	counts := map[string]int{}
	for _, f := range found {
		counts[f.Status]++
	}
	out := struct {
		Status string    `json:"status"`
		Checks []finding `json:"checks"`
	}{findingOK, found}
	switch {
	case counts[findingFail] > 0:
		out.Status = findingFail
	case counts[findingWarn] > 0:
		out.Status = findingWarn
	}
	err := c.print(out, "STATUS CHECK TENANT FINDING", func(line func(...any)) {
		shown := shorten(found, doctorMaxLines)
		for _, f := range shown {
			line(f.Status, f.Check, f.Tenant, f.Detail)
			if f.Next != "" {
				line("", "", "", "-> "+f.Next)
			}
		}
		if left := len(found) - len(shown); left > 0 {
			line("", "", "", fmt.Sprintf("%d further lines are left out: use --tenant ID or --output json", left))
		}
		line(out.Status, "", "", fmt.Sprintf("%d ok, %d warn, %d fail", counts[findingOK], counts[findingWarn], counts[findingFail]))
	})
	if err == nil && out.Status == findingFail {
		return errSilent
	}
	return err
}

// shorten leaves out the tenants' good lines first: whoever has many tenants looks for the bad ones.
func shorten(found []finding, most int) []finding {
	if len(found) <= most {
		return found
	}
	kept := slices.DeleteFunc(slices.Clone(found), func(f finding) bool { return f.Tenant != "" && f.Status == findingOK })
	return kept[:min(len(kept), most)]
}
