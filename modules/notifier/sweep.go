package notifier

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// SweepResult tells what a sweep found.
type SweepResult struct {
	Checked int
	// Settled lists enhancements whose note was found although its run had not learned of it.
	Settled []SettledNote
	// DuplicatesRemoved counts deleted copies; DuplicatesLeft those that could not be deleted.
	DuplicatesRemoved int
	DuplicatesLeft    int
}

// SettledNote is a note found by a sweep.
type SettledNote struct{ EnhancementID, NoteID string }

// Sweep looks at the tenant's notes that may stand twice (more than one request was made) and at intents that nobody
// settled, and puts them right. It is cheap when there is nothing to do. Call it every few minutes.
func (m *Module) Sweep(ctx context.Context, tenantID string) (SweepResult, error) {
	var result SweepResult
	rows, err := m.store.unsettled(ctx, tenantID, m.config.QuietTime())
	if err != nil || len(rows) == 0 {
		return result, err
	}
	l, err := m.connect(ctx, tenantID)
	if err != nil {
		return result, asFault(err)
	}
	for _, row := range rows {
		found, err := l.find(ctx, row, false)
		if classOf(err) == missing {
			found, err = sighting{}, nil // the ticket is gone, and its notes with it
		}
		if err != nil {
			return result, l.finish(ctx, err)
		}
		keep, ok := found.keep()
		removed := l.removeExtras(ctx, row, found)
		result.Checked++
		result.DuplicatesRemoved += removed
		result.DuplicatesLeft += len(found.extras) - removed
		if err := m.store.swept(ctx, tenantID, row, keep); err != nil {
			return result, fmt.Errorf("sweep: %w", err)
		}
		if ok && row.State != "posted" {
			result.Settled = append(result.Settled, SettledNote{row.EnhancementID, keep})
		}
	}
	return result, nil
}

// sighting is what a search of a ticket's notes found of one enhancement: the note that stays, and copies of it.
type sighting struct {
	kept   *Note
	extras []Note
}

func (s sighting) keep() (noteID string, ok bool) {
	if s.kept == nil {
		return "", false
	}
	return s.kept.ID, true
}

// find searches all notes of the ticket. A note is this enhancement's when it has the reference, or, should the desk have
// lost the reference, when it has exactly the words that were sent and no other enhancement's reference. The lowest id
// stays, so that two searchers never delete each other's choice. Only exact copies count as extras: a technician's
// note that quotes the reference is theirs. With anyRun, a note that our renderer made for a run that is forgotten counts when
// there is none of this one; it is never deleted.
func (l *link) find(ctx context.Context, row postRow, anyRun bool) (sighting, error) {
	since := row.PostStartedAt.AddDate(0, 0, -1)
	if anyRun {
		since = time.Time{}
	}
	notes, err := l.desk.notes(ctx, row.TicketID, since)
	if err != nil {
		return sighting{}, err
	}
	brand, _, _ := strings.Cut(row.Reference, "-")
	type match struct {
		Note
		hash  []byte
		exact bool
	}
	var matches []match
	for _, n := range notes {
		hash := contentHash(n.HTML, row.Reference)
		exact := len(row.ContentHash) > 0 && bytes.Equal(hash, row.ContentHash)
		marked := hasReference(n.HTML, row.Reference)
		if marked || exact && !strings.Contains(inline(n.HTML), brand+"-") {
			matches = append(matches, match{n, hash, exact})
		}
	}
	slices.SortFunc(matches, func(a, b match) int {
		if a.exact != b.exact {
			if a.exact {
				return -1
			}
			return 1
		}
		return compareIDs(a.ID, b.ID)
	})
	if len(matches) == 0 {
		return l.forgotten(notes, anyRun), nil
	}
	s := sighting{kept: &matches[0].Note}
	for _, m := range matches[1:] {
		if m.exact || len(m.hash) > 0 && bytes.Equal(m.hash, matches[0].hash) {
			s.extras = append(s.extras, m.Note)
		}
	}
	return s, nil
}

// forgotten finds the first note of any run of ours.
func (l *link) forgotten(notes []Note, wanted bool) (s sighting) {
	if !wanted || l.module.deps.ReferenceOf == nil {
		return s
	}
	for i, n := range notes {
		if _, ours := l.module.deps.ReferenceOf(n.HTML); ours && (s.kept == nil || compareIDs(n.ID, s.kept.ID) < 0) {
			s.kept = &notes[i]
		}
	}
	return s
}

// compareIDs orders the numeric ids of a desk by size, and others as text.
func compareIDs(a, b string) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
}

// removeExtras deletes the copies and returns how many are gone. One that cannot be deleted now is met again by the
// sweep.
func (l *link) removeExtras(ctx context.Context, row postRow, s sighting) (removed int) {
	for _, n := range s.extras {
		err := l.desk.deleteNote(ctx, row.TicketID, n.ID)
		if err != nil && classOf(err) != missing {
			if !errors.Is(err, errUnsupported) {
				l.module.deps.Logger.WarnContext(ctx, "duplicate note not deleted", "tenant_id", l.TenantID,
					"ticket_id", row.TicketID, "note_id", n.ID, "error", err)
			}
			continue
		}
		removed++
		l.module.metrics.duplicates.Inc()
		l.module.deps.Logger.WarnContext(ctx, "duplicate note deleted", "tenant_id", l.TenantID,
			"ticket_id", row.TicketID, "note_id", n.ID)
	}
	return removed
}
