package notifier

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"aiagents/db"
	"aiagents/internal/fault"
)

// store is the module's SQL. Each method is one transaction; none does anything but SQL.
type store struct{ db *db.DB }

// postRow is a row of note_posts with its times as ages, so that only the database's clock counts.
type postRow struct {
	EnhancementID string
	TicketID      string
	Reference     string
	State         string
	Epoch         int64
	Posts         int
	NoteID        string
	ContentHash   []byte
	PostStartedAt time.Time
	Age           time.Duration
}

const postColumns = `enhancement_id::text, ticket_id, reference, state, epoch, posts, note_id, content_hash,
	post_started_at, clock_timestamp() - post_started_at AS age`

// intent is what a caller wants to write.
type intent struct {
	PostRequest
	hash []byte
}

// begin takes the row over for this epoch, in one transaction. A row that does not exist or is ready becomes posting,
// which is the durable intent, unless hold asks to look before; every other state is left for the caller to settle.
// It returns the row as it stands and whether an intent was made.
func (s store) begin(ctx context.Context, in intent, hold bool) (row postRow, made bool, err error) {
	if !hold {
		if row, made, err = s.firstIntent(ctx, in); made || err != nil {
			return row, made, err
		}
	}
	return s.takeOver(ctx, in, hold)
}

// firstIntent makes the row with its intent in one statement, unless there is a row already.
func (s store) firstIntent(ctx context.Context, in intent) (row postRow, made bool, err error) {
	err = s.db.InTenantBatch(ctx, in.TenantID, func(b *pgx.Batch) {
		b.Queue(`
			INSERT INTO note_posts (tenant_id, enhancement_id, ticket_id, reference, state, epoch, posts, post_started_at, content_hash)
			VALUES ($1, $2, $3, $4, 'posting', $5, 1, clock_timestamp(), $6)
			ON CONFLICT (tenant_id, enhancement_id) DO NOTHING
			RETURNING `+postColumns, in.TenantID, in.EnhancementID, in.TicketID, in.Reference, in.Epoch, notNil(in.hash)).
			Query(func(rows pgx.Rows) error {
				row, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[postRow])
				made = err == nil
				if noRows(err) {
					return nil
				}
				return err
			})
	})
	if err != nil {
		return postRow{}, false, fmt.Errorf("insert note post: %w", err)
	}
	return row, made, nil
}

// takeOver is begin for a row that may be there already.
func (s store) takeOver(ctx context.Context, in intent, hold bool) (row postRow, made bool, err error) {
	err = s.db.InTenantTx(ctx, in.TenantID, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `
			INSERT INTO note_posts (tenant_id, enhancement_id, ticket_id, reference, state, epoch, posts)
			VALUES ($1, $2, $3, $4, 'ready', $5, 0)
			ON CONFLICT (tenant_id, enhancement_id) DO NOTHING`,
			in.TenantID, in.EnhancementID, in.TicketID, in.Reference, in.Epoch); err != nil {
			return fmt.Errorf("insert note post: %w", err)
		}
		if row, err = onePost(ctx, tx, in.TenantID, in.EnhancementID); err != nil {
			return err
		}
		if row.Epoch > in.Epoch {
			return errFenced
		}
		if row.State == "ready" && !hold {
			made = true
			row, err = makeIntent(ctx, tx, in)
			return err
		}
		row.Epoch = in.Epoch
		if _, err := tx.Exec(ctx, `
			UPDATE note_posts SET epoch = $3, updated_at = now() WHERE tenant_id = $1 AND enhancement_id = $2`,
			in.TenantID, in.EnhancementID, in.Epoch); err != nil {
			return fmt.Errorf("take note post over: %w", err)
		}
		return nil
	})
	return row, made, err
}

// again makes a new intent on a row that was found unapplied, or whose note is gone. seen guards against a sweep
// or a second caller that settled the row meanwhile; gone forgets the note that is no longer there.
func (s store) again(ctx context.Context, in intent, seen postRow, gone bool) (row postRow, err error) {
	err = s.db.InTenantTx(ctx, in.TenantID, func(ctx context.Context, tx pgx.Tx) error {
		now, err := onePost(ctx, tx, in.TenantID, in.EnhancementID)
		if err != nil {
			return err
		}
		if now.Epoch != in.Epoch {
			return errFenced
		}
		if now.State != seen.State || !now.PostStartedAt.Equal(seen.PostStartedAt) {
			return errMovedOn()
		}
		if gone {
			if _, err := tx.Exec(ctx, `
				UPDATE note_posts SET posts = 0, note_id = '' WHERE tenant_id = $1 AND enhancement_id = $2`,
				in.TenantID, in.EnhancementID); err != nil {
				return fmt.Errorf("forget note: %w", err)
			}
		}
		row, err = makeIntent(ctx, tx, in)
		return err
	})
	return row, err
}

// makeIntent counts the request before it is made: a row can only ever claim too many requests, never too few.
func makeIntent(ctx context.Context, tx pgx.Tx, in intent) (postRow, error) {
	rows, err := tx.Query(ctx, `
		UPDATE note_posts
		SET state = 'posting', epoch = $3, posts = posts + 1, post_started_at = clock_timestamp(), content_hash = $4,
		    swept_at = NULL, updated_at = now()
		WHERE tenant_id = $1 AND enhancement_id = $2
		RETURNING `+postColumns, in.TenantID, in.EnhancementID, in.Epoch, notNil(in.hash))
	if err != nil {
		return postRow{}, fmt.Errorf("update note post to posting: %w", err)
	}
	row, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[postRow])
	if err != nil {
		return postRow{}, fmt.Errorf("update note post to posting: %w", err)
	}
	return row, nil
}

// onePost locks the row, so that two runs of one enhancement decide one after the other.
func onePost(ctx context.Context, tx pgx.Tx, tenantID, enhancementID string) (postRow, error) {
	rows, err := tx.Query(ctx, `
		SELECT `+postColumns+` FROM note_posts WHERE tenant_id = $1 AND enhancement_id = $2 FOR UPDATE`, tenantID, enhancementID)
	if err != nil {
		return postRow{}, fmt.Errorf("read note post: %w", err)
	}
	row, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[postRow])
	if err != nil {
		return postRow{}, fmt.Errorf("read note post: %w", err)
	}
	return row, nil
}

// takeBack undoes an intent whose request provably did nothing.
func (s store) takeBack(ctx context.Context, in intent, row postRow) error {
	return s.exec(ctx, in.TenantID, "take intent back", `
		UPDATE note_posts SET state = 'ready', posts = posts - 1, updated_at = now()
		WHERE tenant_id = $1 AND enhancement_id = $2 AND epoch = $3 AND state = 'posting' AND post_started_at = $4`,
		in.TenantID, in.EnhancementID, in.Epoch, row.PostStartedAt)
}

// stands records that a note of this enhancement is on the ticket. That is a fact about the desk, so it is recorded
// whoever learns it, also a caller with an old epoch; it returns the row's epoch, by which the caller learns that. With
// alive it also records that the desk takes notes at present.
func (s store) stands(ctx context.Context, tenantID, enhancementID, noteID string, hash []byte, alive bool) (epoch int64, err error) {
	err = s.db.InTenantBatch(ctx, tenantID, func(b *pgx.Batch) {
		b.Queue(`
			UPDATE note_posts
			SET state = 'posted', note_id = CASE WHEN state = 'posted' AND note_id <> '' THEN note_id ELSE $3 END,
			    content_hash = CASE WHEN $4::bytea = '' THEN content_hash ELSE $4 END, updated_at = now()
			WHERE tenant_id = $1 AND enhancement_id = $2
			RETURNING epoch`, tenantID, enhancementID, noteID, notNil(hash)).
			QueryRow(func(row pgx.Row) error { return row.Scan(&epoch) })
		if alive {
			b.Queue(`
				INSERT INTO desk_connections (tenant_id, last_posted_at) VALUES ($1, now())
				ON CONFLICT (tenant_id) DO UPDATE SET last_posted_at = now()`, tenantID)
		}
	})
	if err != nil {
		return 0, fmt.Errorf("record note: %w", err)
	}
	return epoch, nil
}

// recordPosted is RecordPostedTx.
func recordPosted(ctx context.Context, tx pgx.Tx, r PostRequest, noteID string) error {
	if noteID == "" {
		return fault.New(fault.Internal, "a posted note has an id")
	}
	tag, err := tx.Exec(ctx, `
		UPDATE note_posts SET state = 'posted', note_id = $4, updated_at = now()
		WHERE tenant_id = $1 AND enhancement_id = $2 AND epoch = $3`, r.TenantID, r.EnhancementID, r.Epoch, noteID)
	if err != nil {
		return fmt.Errorf("confirm note: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return errFenced
	}
	return nil
}

// unsettled lists the rows that a sweep must look at: possible duplicates for an hour after the last request, and intents
// that nobody settled for a day.
func (s store) unsettled(ctx context.Context, tenantID string, quiet time.Duration) (out []postRow, err error) {
	err = s.db.InTenantTx(ctx, tenantID, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT `+postColumns+`
			FROM note_posts
			WHERE tenant_id = $1 AND (posts > 1 OR state = 'posting')
			  AND post_started_at < clock_timestamp() - make_interval(secs => $2)
			  AND (CASE WHEN state = 'posting' THEN post_started_at > now() - interval '1 day'
			       ELSE swept_at IS NULL OR swept_at < post_started_at + interval '1 hour' END)
			ORDER BY post_started_at LIMIT 200`, tenantID, quiet.Seconds())
		if err != nil {
			return fmt.Errorf("list unsettled posts: %w", err)
		}
		out, err = pgx.CollectRows(rows, pgx.RowToStructByName[postRow])
		return err
	})
	return out, err
}

// countUnsettled counts the intents among the rows above: those whose fate nobody knows.
func (s store) countUnsettled(ctx context.Context, tenantID string, quiet time.Duration) (u Unsettled, err error) {
	var seconds float64
	err = s.db.InTenantTx(ctx, tenantID, func(ctx context.Context, tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `
			SELECT count(*), coalesce(extract(epoch FROM clock_timestamp() - min(post_started_at)), 0)::float8
			FROM note_posts
			WHERE tenant_id = $1 AND state = 'posting' AND post_started_at < clock_timestamp() - make_interval(secs => $2)
			  AND post_started_at > now() - interval '1 day'`, tenantID, quiet.Seconds()).Scan(&u.Notes, &seconds)
		if err != nil {
			return fmt.Errorf("count unsettled posts: %w", err)
		}
		return nil
	})
	u.Oldest = time.Duration(seconds * float64(time.Second))
	return u, err
}

// swept records the outcome of a sweep of one row, unless the row has moved on meanwhile.
func (s store) swept(ctx context.Context, tenantID string, row postRow, noteID string) error {
	return s.exec(ctx, tenantID, "record sweep", `
		UPDATE note_posts
		SET swept_at = now(), state = CASE WHEN $4 = '' THEN state ELSE 'posted' END,
		    note_id = CASE WHEN $4 = '' THEN note_id ELSE $4 END, updated_at = now()
		WHERE tenant_id = $1 AND enhancement_id = $2 AND post_started_at = $3`,
		tenantID, row.EnhancementID, row.PostStartedAt, noteID)
}

func (s store) exec(ctx context.Context, tenantID, act, sql string, args ...any) error {
	return s.db.InTenantTx(ctx, tenantID, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, sql, args...); err != nil {
			return fmt.Errorf("%s: %w", act, err)
		}
		return nil
	})
}

// notNil keeps an absent hash an empty one: the column takes no null.
func notNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

func noRows(err error) bool { return errors.Is(err, pgx.ErrNoRows) }
