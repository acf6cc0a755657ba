package app

import (
	"context"
	"strings"
)

// housekeeping examines the periodic tasks: one that fails or does not run is noticed here before a disk is full.
func (d *doctor) housekeeping(ctx context.Context, f *findings, s *system) {
	const check, more = "housekeeping", "see 'aiagents housekeeping list' and docs/runbooks/housekeeping.md"
	ctx, cancel := context.WithTimeout(ctx, doctorStepTime)
	defer cancel()
	list, err := s.housekeeping.List(ctx)
	if err != nil {
		f.fail(check, "run 'aiagents migrate up', which grants the app role what it needs", "cannot be read: %s", explain(err))
		return
	}
	var off []string
	good := 0
	for _, t := range list {
		switch {
		case t.EverySeconds == 0:
			off = append(off, t.Task)
		case t.LastError != "" && t.LastResult == "failed":
			f.warn(check, more, "%s failed at %s: %s", t.Task, at(t.LastFinishedAt), t.LastError)
		case t.Overdue:
			f.warn(check, more, "%s is overdue: it last ended well at %s", t.Task, at(t.LastSuccessAt))
		default:
			good++
		}
	}
	if len(off) > 0 {
		f.ok(check, "%d tasks run as they should; switched off: %s", good, strings.Join(off, ", "))
	} else if good == len(list) {
		f.ok(check, "all %d tasks run as they should", good)
	}
}
