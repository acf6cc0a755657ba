package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"aiagents/internal/fault"
	"aiagents/modules/enhancement/feed"
)

func (c *cli) ticketsSync() *cobra.Command {
	var tenantID, since string
	sync := &cobra.Command{
		Use: "sync", Short: "Fetch solved tickets from ServiceDesk Plus", Args: cobra.NoArgs,
		Long: `Fetches solved tickets with their resolution, in the order of their last update. The first run goes back as far as --since
says (default: 90 days); later runs go on where the last one ended, also after it was killed. It keeps to the desk's rate
limits, and waits when the desk asks to. It waits up to two minutes for another run under way for the tenant.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := needTenant(tenantID); err != nil {
				return err
			}
			from, err := sinceTime(since, time.Now())
			if err != nil {
				return usageError{err}
			}
			return c.withSystem(cmd.Context(), func(ctx context.Context, s *system) error {
				bar := c.bar("tickets")
				began := time.Now()
				res, err := onceFree(ctx, func() (feed.Result, error) {
					return s.feed.SyncTickets(ctx, tenantID, feed.SyncOptions{Since: from, Progress: func(p feed.Progress) {
						bar.set(int64(p.Listed), estimate(int64(p.Listed), p.From, p.Through, began))
					}})
				})
				bar.done()
				return errors.Join(c.printSync(res), err)
			})
		},
	}
	tenantFlag(sync, &tenantID)
	sync.Flags().StringVar(&since, "since", "", "how far back: days such as 365d, or a date such as 2024-01-31")
	return sync
}

func (c *cli) knowledgeSync() *cobra.Command {
	var tenantID string
	sync := &cobra.Command{
		Use: "sync", Short: "Mirror the approved solutions of ServiceDesk Plus", Args: cobra.NoArgs,
		Long: `Mirrors the approved, unexpired solutions of the desk into the collection "servicedesk". What the desk no longer has is
removed.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := needTenant(tenantID); err != nil {
				return err
			}
			return c.withSystem(cmd.Context(), func(ctx context.Context, s *system) error {
				bar := c.bar("solutions")
				res, err := onceFree(ctx, func() (feed.Result, error) {
					return s.feed.SyncSolutions(ctx, tenantID, func(p feed.Progress) { bar.set(int64(p.Listed), 0) })
				})
				bar.done()
				return errors.Join(c.printSync(res), err)
			})
		},
	}
	tenantFlag(sync, &tenantID)
	return sync
}

func (c *cli) inventorySync() *cobra.Command {
	var tenantID string
	sync := &cobra.Command{
		Use: "sync", Short: "Mirror the assets of ServiceDesk Plus", Args: cobra.NoArgs,
		Long: `Mirrors the assets of the desk into the inventory. What was imported is never overwritten; a host that the desk no longer lists
is retired. Addresses come with on-premises builds from 15100 on; others list names only. The tenant's preference sync_assets
does this by itself every feed.assets_interval.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := needTenant(tenantID); err != nil {
				return err
			}
			return c.withSystem(cmd.Context(), func(ctx context.Context, s *system) error {
				bar := c.bar("assets")
				res, err := onceFree(ctx, func() (feed.Result, error) {
					return s.feed.SyncAssets(ctx, tenantID, func(p feed.Progress) { bar.set(int64(p.Listed), 0) })
				})
				bar.done()
				return errors.Join(c.printSync(res), err)
			})
		},
	}
	tenantFlag(sync, &tenantID)
	return sync
}

// feedPatience is how long a command waits for a run of the same feed to end, or for the lease of a dead one to run out.
const feedPatience = 2 * time.Minute

// onceFree runs sync, and again while another run holds the feed: most often the periodic one.
func onceFree(ctx context.Context, sync func() (feed.Result, error)) (feed.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, feedPatience)
	defer cancel()
	for {
		result, err := sync()
		var f *fault.Error
		if !errors.As(err, &f) || f.Code != "FEED_HELD" {
			return result, err
		}
		select {
		case <-ctx.Done():
			return result, err
		case <-time.After(time.Second):
		}
	}
}

func (c *cli) printSync(r feed.Result) error {
	if r.Outcome == feed.OutcomeSkipped {
		_, _ = fmt.Fprintln(c.errOut, "warning: nothing was read: the tenant is disabled, has no key for its desk, or its system cannot be listed")
	}
	return c.print(r, "OUTCOME LISTED FETCHED ADDED UPDATED UNCHANGED SKIPPED REMOVED", func(line func(...any)) {
		line(r.Outcome, r.Listed, r.Fetched, r.Added, r.Updated, r.Unchanged, r.Skipped, r.Removed)
	})
}

// sinceTime reads days or a date; an empty text is the zero time, which takes the default.
func sinceTime(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	var days int
	if n, err := fmt.Sscanf(text+"\n", "%dd\n", &days); err == nil && n == 1 && days > 0 {
		return now.AddDate(0, 0, -days), nil
	}
	if at, err := time.Parse(time.DateOnly, text); err == nil {
		return at, nil
	}
	return time.Time{}, fmt.Errorf("--since %q: give days such as 365d, or a date such as 2024-01-31", text)
}

// estimate guesses the number of rows from how much of the time is covered: desks count on request only, and slowly.
func estimate(done int64, from, through, until time.Time) int64 {
	covered, all := through.Sub(from), until.Sub(from)
	if covered <= 0 || all <= 0 || covered >= all {
		return done
	}
	return int64(float64(done) * float64(all) / float64(covered))
}
