package app

import (
	"context"
	"strings"
	"time"
)

// identity tells whether the database was restored or failed over, since notes are looked for before they are written then.
func (d *doctor) identity(ctx context.Context, f *findings, s *system) {
	const check = "database identity"
	ctx, cancel := context.WithTimeout(ctx, doctorStepTime)
	defer cancel()
	at, known, err := s.notes.Restored(ctx)
	until := at.Add(d.cfg.Notifier.VerifyAfterRestore)
	switch {
	case d.cfg.Notifier.VerifyBeforePost:
		f.ok(check, "every ticket is looked at before its note is written: notifier.verify_before_post is set")
	case err != nil:
		f.warn(check, "after a restore or failover set AI_AGENTS_NOTIFIER_VERIFY_BEFORE_POST=true, see docs/runbooks/restore.md",
			"the server does not tell it, so a restore is not noticed: %s", explain(err))
	case known && d.now().Before(until):
		f.ok(check, "restored or failed over at %s: until %s a ticket is looked at before its note is written",
			at.UTC().Format(time.RFC3339), until.UTC().Format(time.RFC3339))
	default:
		f.ok(check, "known; a restore would be noticed")
	}
}

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
