package notifier

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"aiagents/internal/crashpoint"
	"aiagents/internal/fault"
)

// errFenced stops an owner whose work a newer one has taken over.
var errFenced = fault.New(fault.Conflict, "a newer run has taken this enhancement over").WithCode("FENCED")

// errMovedOn makes a run look again at a row that changed under it while it still owned it.
func errMovedOn() error {
	return fault.New(fault.Unavailable, "the note was settled by somebody else meanwhile").WithCode("NOTE_MOVED_ON").WithRetryAfter(100 * time.Millisecond)
}

// errUnsupported says that the edition has no such call.
var errUnsupported = fault.New(fault.Invalid, "this edition has no such call").WithCode("DESK_UNSUPPORTED")

// PostRequest asks for one note.
type PostRequest struct {
	TenantID      string
	EnhancementID string // a UUID; its row in enhancement_history exists
	TicketID      string
	// Reference is unique to the enhancement and visible in HTML; the note is recognised by it.
	Reference string
	// Epoch is the caller's claim on the enhancement; it only ever grows.
	Epoch int64
	HTML  string
	// VerifyFirst looks for the note before the first request, as the module does by itself after a restore.
	VerifyFirst bool
	// Repost posts a note that could not be found even where the tenant's choice is never_repost: a person has looked.
	Repost bool
}

// check refuses a request whose note could not be recognised later: without a visible reference every note would look
// like it, or none.
func (r PostRequest) check() error {
	switch {
	case r.EnhancementID == "" || r.Epoch < 1:
		return fault.New(fault.Internal, "a note belongs to an enhancement and an epoch")
	case len(r.Reference) < shortestReference || !hasReference(r.HTML, r.Reference):
		return fault.New(fault.Internal, "a note shows its reference")
	}
	return nil
}

const shortestReference = 8

// Result tells where the note stands.
type Result struct {
	NoteID string
	// Adopted is set when an earlier request had written the note.
	Adopted bool
	// Updated is set when the note stood already and got the new text.
	Updated bool
	// Recorded is set when the result is durable already, so that RecordPostedTx is not needed.
	Recorded bool
	// DuplicatesRemoved counts copies that were found beside the note and deleted.
	DuplicatesRemoved int
}

// Post writes one note, exactly once in effect; see the package comment for how. It may be called again at any time with
// the same or a newer epoch, by any process. The error is a fault that says what may be done next:
//
//   - Unavailable or Limited with RetryAfter: call again after it. An ambiguous request waits out the quiet time like this.
//   - Unavailable without RetryAfter: nothing was applied; call again with the caller's own back-off.
//   - Unauthenticated with RetryAfter: the connection is paused; it resumes by itself once a probe succeeds.
//   - Conflict with code FENCED: a newer run owns the enhancement; stop without a trace.
//   - Conflict with code NOTE_UNRESOLVED: nobody knows whether the note was written, and the tenant chose never_repost.
//   - Anything else is permanent until somebody changes the ticket or the settings.
func (m *Module) Post(ctx context.Context, r PostRequest) (Result, error) {
	if err := r.check(); err != nil {
		return Result{}, err
	}
	l, err := m.connect(ctx, r.TenantID)
	if err != nil {
		return Result{}, asFault(err)
	}
	p := posting{module: m, link: l, intent: intent{PostRequest: r, hash: contentHash(r.HTML, r.Reference)}}
	result, outcome, err := p.run(ctx)
	if errors.Is(err, errFenced) {
		outcome = "fenced"
		m.metrics.fenced.Inc()
	}
	m.metrics.posts.WithLabelValues(outcome).Inc()
	return result, err
}

// RecordPostedTx confirms a note whose result is not Recorded, in the transaction that completes the enhancement. It gives a Conflict with code FENCED
// when a newer run has taken over, and then the transaction must not commit.
func (m *Module) RecordPostedTx(ctx context.Context, tx pgx.Tx, r PostRequest, noteID string) error {
	return recordPosted(ctx, tx, r, noteID)
}

// posting is one call of Post.
type posting struct {
	module *Module
	link   *link
	intent intent
}

// run decides by the row's state what is left to do. The string is the outcome for the metric.
func (p posting) run(ctx context.Context) (Result, string, error) {
	// Also for a body that came whole with the webhook: whose ticket it is, only the desk can say.
	if err := p.link.checkOwner(ctx, p.intent.TicketID); err != nil {
		return Result{}, "not_applied", p.link.finish(ctx, err)
	}
	if err := p.link.ready(ctx); err != nil {
		return Result{}, "not_applied", p.link.finish(ctx, err)
	}
	start := time.Now()
	row, made, err := p.module.store.begin(ctx, p.intent, p.module.looksFirst(ctx, p.intent.PostRequest))
	switch {
	case err != nil:
		return Result{}, "not_applied", err
	case made:
		return p.post(ctx, row, start)
	case row.State == "ready":
		return p.verify(ctx, row)
	case row.State == "posted":
		return p.update(ctx, row)
	}
	if left := p.module.config.QuietTime() - row.Age; left > 0 {
		return p.lookEarly(ctx, row, left)
	}
	return p.verify(ctx, row)
}

// lookEarly looks once the list may show the note, and not only after the quiet time: that it is there is certain at once; only
// that it is not takes the whole time.
func (p posting) lookEarly(ctx context.Context, row postRow, left time.Duration) (Result, string, error) {
	if early := p.module.config.ListDelay - row.Age; early > 0 {
		return Result{}, "waiting", ambiguous(min(early, left), nil)
	}
	found, err := p.link.find(ctx, row, false)
	if err != nil {
		return Result{}, "waiting", ambiguous(left, p.link.finish(ctx, err))
	}
	keep, ok := found.keep()
	if !ok {
		return Result{}, "waiting", ambiguous(left, nil)
	}
	removed := p.link.removeExtras(ctx, row, found)
	return p.stands(ctx, Result{NoteID: keep, Adopted: true, DuplicatesRemoved: removed}, "adopted", nil)
}

// post sends the request that belongs to an intent made after start. The request outlives its caller's cancellation,
// since cutting it off in the middle would only make its outcome unknown; start bounds it.
func (p posting) post(ctx context.Context, row postRow, start time.Time) (Result, string, error) {
	sending, cancel := context.WithDeadline(context.WithoutCancel(ctx), start.Add(p.module.config.PostTimeout))
	defer cancel()
	p.module.hooks.intentMade()
	crashpoint.Reach("k6")
	noteID, err := p.link.desk.addNote(sending, p.intent.TicketID, p.intent.HTML)
	p.module.hooks.answered()
	crashpoint.Reach("k9")
	switch {
	case err == nil:
		return p.stands(ctx, Result{NoteID: noteID}, "posted", p.intent.hash)
	case maybeApplied(err):
		left := p.module.config.QuietTime() - time.Since(start)
		return Result{}, "ambiguous", ambiguous(min(left, p.module.config.ListDelay), err)
	}
	recording, cancel := afterwards(ctx)
	defer cancel()
	if terr := p.module.store.takeBack(recording, p.intent, row); terr != nil {
		// The row still says posting, so the next run waits and looks before it posts: slower, and just as safe.
		p.module.deps.Logger.WarnContext(ctx, "note intent not taken back", "tenant_id", p.intent.TenantID,
			"enhancement_id", p.intent.EnhancementID, "error", terr)
	}
	if classOf(err) == forbidden {
		return Result{}, "not_applied", p.link.writeForbidden(ctx, err)
	}
	return Result{}, "not_applied", p.link.finish(ctx, err)
}

// ambiguous tells the caller to come back when the request has come to rest, however it ended.
func ambiguous(left time.Duration, cause error) error {
	return fault.Wrap(fault.Unavailable, cause, "it is not known yet whether the note was written: waiting before the ticket is searched for it").
		WithCode("NOTE_AMBIGUOUS").WithRetryAfter(max(left, 10*time.Millisecond))
}

// verify settles a row whose last request was ambiguous and has come to rest, or one that must be looked at first.
func (p posting) verify(ctx context.Context, row postRow) (Result, string, error) {
	// A row without a request is looked at because the database may have forgotten runs: then another one's note is ours too.
	found, err := p.link.find(ctx, row, row.State == "ready")
	if err != nil {
		return Result{}, "waiting", p.link.finish(ctx, err)
	}
	if keep, ok := found.keep(); ok {
		removed := p.link.removeExtras(ctx, row, found)
		return p.stands(ctx, Result{NoteID: keep, Adopted: true, DuplicatesRemoved: removed}, "adopted", nil)
	}
	if row.State == "posting" && p.link.OnAmbiguous == NeverRepost && !p.intent.Repost {
		return Result{}, "unresolved", fault.New(fault.Conflict,
			"it is not known whether the note was written, and the ticket does not show it. The tenant's choice is never_repost: look at the ticket, then run the enhancement again").
			WithCode("NOTE_UNRESOLVED")
	}
	return p.postAgain(ctx, row, false)
}

// postAgain makes a new intent for a row of which we now know that no earlier request left a note.
func (p posting) postAgain(ctx context.Context, row postRow, gone bool) (Result, string, error) {
	if err := p.link.ready(ctx); err != nil {
		return Result{}, "not_applied", p.link.finish(ctx, err)
	}
	start := time.Now()
	next, err := p.module.store.again(ctx, p.intent, row, gone)
	if err != nil {
		return Result{}, "not_applied", err
	}
	return p.post(ctx, next, start)
}

// update gives a standing note the text of this run. Writing the same text to the same note twice changes nothing, so
// every failure may simply be tried again.
func (p posting) update(ctx context.Context, row postRow) (Result, string, error) {
	if row.Posts > 1 { // copies are recognised by their words, which are about to change
		found, err := p.link.find(ctx, row, false)
		if err != nil {
			return Result{}, "not_applied", p.link.finish(ctx, err)
		}
		p.link.removeExtras(ctx, row, found)
		if keep, ok := found.keep(); ok {
			row.NoteID = keep
		}
	}
	err := p.link.desk.updateNote(ctx, p.intent.TicketID, row.NoteID, p.intent.HTML)
	switch {
	case errors.Is(err, errUnsupported):
		return Result{NoteID: row.NoteID, Adopted: true}, "adopted", nil
	case classOf(err) == missing:
		return p.postAgain(ctx, row, true)
	case err != nil:
		return Result{}, "not_applied", p.link.finish(ctx, err)
	}
	return p.stands(ctx, Result{NoteID: row.NoteID, Updated: true}, "updated", p.intent.hash)
}

// stands makes the answer durable at once, so that a crash before the caller's transaction costs no waiting. When that
// fails, the caller's RecordPostedTx is the second chance, and the protocol the third.
func (p posting) stands(ctx context.Context, r Result, outcome string, hash []byte) (Result, string, error) {
	recording, cancel := afterwards(ctx)
	defer cancel()
	epoch, err := p.module.store.stands(recording, p.intent.TenantID, p.intent.EnhancementID, r.NoteID, hash, p.link.aliveIsDue())
	if err != nil {
		p.module.deps.Logger.WarnContext(ctx, "note not recorded yet", "tenant_id", p.intent.TenantID,
			"enhancement_id", p.intent.EnhancementID, "error", err)
		return r, outcome, nil
	}
	crashpoint.Reach("k10")
	if epoch != p.intent.Epoch {
		return Result{}, outcome, errFenced
	}
	r.Recorded = true
	return r, outcome, nil
}
