package feed

import (
	"context"
	"fmt"
	"time"
)

// rereadRows is how far pages by position overlap: rows move back when one before them changes.
const rereadRows = 10

// order is the time by which a list is read.
type order struct {
	of    func(Brief) time.Time
	query func(since time.Time, start int) TicketQuery
}

var (
	byUpdate = order{
		of:    func(b Brief) time.Time { return b.UpdatedAt },
		query: func(t time.Time, start int) TicketQuery { return TicketQuery{UpdatedSince: t, Start: start} },
	}
	byCreation = order{
		of:    func(b Brief) time.Time { return b.CreatedAt },
		query: func(t time.Time, start int) TicketQuery { return TicketQuery{CreatedSince: t, Start: start} },
	}
)

// eachPage reads tickets from a time on, in ascending order, and hands over each row once a version. visit gets the time of
// the page's last row, up to which everything has now been read.
//
// The next page begins at that time, so that rows may come and go without one being missed. Only where a whole page has one
// time, or none that is visible, does it go on by position.
func (r *run) eachPage(ctx context.Context, from time.Time, by order, visit func(ctx context.Context, rows []Brief, last time.Time) error) error {
	start := 1
	previous := map[string]time.Time{}
	for {
		var page TicketPage
		err := r.feed.patiently(ctx, func() (err error) {
			page, err = r.feed.deps.Desk.ListTickets(ctx, r.tenantID, by.query(from, start))
			return err
		})
		if err != nil {
			return fmt.Errorf("list tickets: %w", err)
		}
		last, current := from, make(map[string]time.Time, len(page.Tickets))
		var rows []Brief
		for _, b := range page.Tickets {
			at := by.of(b)
			if at.After(last) {
				last = at
			}
			current[b.ID] = at
			if known, ok := previous[b.ID]; !ok || !known.Equal(at) {
				rows = append(rows, b)
			}
		}
		r.counts.Listed += len(rows)
		if err := visit(ctx, rows, last); err != nil {
			return err
		}
		switch {
		case page.Next == 0:
			return nil
		case last.After(from):
			from, start = last, 1
		default:
			start = max(start+1, page.Next-rereadRows)
		}
		previous = current
	}
}
