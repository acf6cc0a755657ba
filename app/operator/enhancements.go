package operator

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"aiagents/internal/fault"
	"aiagents/modules/enhancement"
	"aiagents/modules/enhancement/evidence"
	"aiagents/modules/tenant"
)

// Enhancement is one line of a list of runs.
type Enhancement struct {
	enhancement.Summary
	Explanation Explanation `json:"explanation"`
}

// EnhancementFilter narrows a list. Zero values leave a field open.
type EnhancementFilter struct {
	// TenantID is one tenant; empty lists the runs of all.
	TenantID string
	Status   string
	Outcome  string
	TicketID string
	// Since (inclusive) and Until (exclusive) are about when the run was received.
	Since, Until time.Time
	// Limit is the size of a page, 1 to 200; 0 takes 50.
	Limit int
	// Cursor continues behind a page: its NextCursor.
	Cursor string
}

// EnhancementPage is one page of a list.
type EnhancementPage struct {
	Items []Enhancement `json:"items"`
	// NextCursor is empty on the last page.
	NextCursor string `json:"next_cursor" doc:"Give it as cursor to get the next page; empty on the last one"`
}

// EnhancementDetail is one run with everything that is known about it.
type EnhancementDetail struct {
	enhancement.Detail
	Explanation Explanation    `json:"explanation"`
	Timeline    []TimelineStep `json:"timeline" doc:"From the webhook to the note, in order; the sources of context side by side"`
	CanRetry    bool           `json:"can_retry"`
}

// DefaultPage and MaxPage size the pages of lists.
const (
	DefaultPage = 50
	MaxPage     = 200
)

var (
	statuses = []string{"pending", "completed", "failed"}
	outcomes = []string{"note", "facts_only", "skipped", "recorded", "failed"}
)

// Enhancements lists runs, the newest first: those of one tenant, or of all.
func (s *Service) Enhancements(ctx context.Context, f EnhancementFilter) (EnhancementPage, error) {
	after, err := f.check()
	if err != nil {
		return EnhancementPage{}, err
	}
	ids, err := s.chosen(ctx, f.TenantID, s.deps.Tenants.IDs)
	if err != nil {
		return EnhancementPage{}, err
	}
	// One more than the page holds tells whether there is another page.
	filter := enhancement.Filter{
		Status: f.Status, Outcome: f.Outcome, TicketID: f.TicketID, Since: f.Since, Until: f.Until, Limit: f.Limit + 1,
		After: enhancement.Position{CreatedAt: after.At, ID: after.ID},
	}
	lists, err := eachTenant(ctx, s, ids, func(ctx context.Context, id string) ([]enhancement.Summary, error) {
		return s.deps.Runs.List(ctx, id, filter)
	})
	if err != nil {
		return EnhancementPage{}, err
	}
	all := slices.Concat(lists...)
	slices.SortFunc(all, func(a, b enhancement.Summary) int { return newestFirst(a.CreatedAt, b.CreatedAt, a.ID, b.ID) })
	page := EnhancementPage{Items: []Enhancement{}}
	for _, e := range all[:min(len(all), f.Limit)] {
		page.Items = append(page.Items, Enhancement{Summary: e, Explanation: explain(e)})
	}
	if len(all) > f.Limit {
		last := all[f.Limit-1]
		page.NextCursor = cursor{At: last.CreatedAt, ID: last.ID}.String()
	}
	return page, nil
}

// AllEnhancements lists the first f.Limit runs, page by page, however many those are.
func (s *Service) AllEnhancements(ctx context.Context, f EnhancementFilter) ([]Enhancement, error) {
	all, left := []Enhancement{}, f.Limit
	for left > 0 {
		f.Limit = min(left, MaxPage)
		page, err := s.Enhancements(ctx, f)
		if err != nil {
			return nil, err
		}
		all = append(all, page.Items...)
		if f.Cursor = page.NextCursor; f.Cursor == "" {
			break
		}
		left -= len(page.Items)
	}
	return all, nil
}

func (f *EnhancementFilter) check() (after cursor, err error) {
	details := map[string]string{}
	if f.Status != "" && !slices.Contains(statuses, f.Status) {
		details["status"] = "must be pending, completed or failed"
	}
	if f.Outcome != "" && !slices.Contains(outcomes, f.Outcome) {
		details["outcome"] = "must be note, facts_only, skipped, recorded or failed"
	}
	after, f.Limit = checkPage(f.Limit, f.Cursor, details)
	if len(details) > 0 {
		return after, fault.New(fault.Invalid, "the list cannot be read as asked").WithDetails(details)
	}
	return after, nil
}

// checkPage reads what asks for a page of a list.
func checkPage(limit int, text string, details map[string]string) (cursor, int) {
	if limit == 0 {
		limit = DefaultPage
	}
	if limit < 1 || limit > MaxPage {
		details["limit"] = "must be 1 to 200"
	}
	after, err := parseCursor(text)
	if err != nil {
		details["cursor"] = "must be the next_cursor of a page"
	}
	return after, limit
}

// chosen is the one tenant that was asked for, if there is such a tenant, or all.
func (s *Service) chosen(ctx context.Context, id string, all func(context.Context) ([]string, error)) ([]string, error) {
	ids, err := all(ctx)
	if err != nil || id == "" {
		return ids, err
	}
	if !slices.Contains(ids, id) {
		return nil, fault.Newf(fault.NotFound, "there is no tenant %q", id)
	}
	return []string{id}, nil
}

// Enhancement reads one run of a tenant; with an empty tenant, of whichever has it. NotFound when none has.
func (s *Service) Enhancement(ctx context.Context, tenantID string, id uuid.UUID) (EnhancementDetail, error) {
	ids, err := s.chosen(ctx, tenantID, s.deps.Tenants.IDs)
	if err != nil {
		return EnhancementDetail{}, err
	}
	found, err := eachTenant(ctx, s, ids, func(ctx context.Context, tenantID string) (*enhancement.Detail, error) {
		d, err := s.deps.Runs.Show(ctx, tenantID, id)
		if fault.Is(err, fault.NotFound) {
			return nil, nil
		}
		return &d, err
	})
	if err != nil {
		return EnhancementDetail{}, err
	}
	for _, d := range found {
		if d != nil {
			return EnhancementDetail{Detail: *d, Explanation: explain(d.Summary), Timeline: timeline(*d), CanRetry: canRetry(d.Summary)}, nil
		}
	}
	return EnhancementDetail{}, fault.Newf(fault.NotFound, "there is no enhancement %s", id)
}

func canRetry(e enhancement.Summary) bool {
	return e.Status != "pending" && slices.Contains([]string{"ticket_created", "ticket_resolved", "ticket_closed"}, e.Event)
}

// Retry runs an enhancement again. Its note is replaced, never doubled. The audit entry and the new job are one transaction.
func (s *Service) Retry(ctx context.Context, actor, tenantID string, id uuid.UUID) error {
	return s.deps.DB.InTenantTx(ctx, tenantID, func(ctx context.Context, tx pgx.Tx) error {
		if err := s.deps.Runs.RetryTx(ctx, tx, tenantID, id); err != nil {
			return err
		}
		return s.deps.Audit.RecordTx(ctx, tx, tenantID, actor, "enhancement.retry", map[string]any{"enhancement_id": id})
	})
}

// Preview is a note that was made but neither posted nor kept.
type Preview struct {
	TenantID string                   `json:"tenant_id"`
	NoteHTML string                   `json:"note_html" doc:"The note as it would stand on the ticket"`
	NoteText string                   `json:"note_text" doc:"The same as plain text"`
	Context  evidence.Bundle          `json:"context"`
	Answer   evidence.Answer          `json:"answer"`
	Calls    []enhancement.CallRecord `json:"model_calls" nullable:"false"`
	CostUSD  float64                  `json:"cost_usd"`
	TookMs   int64                    `json:"took_ms"`
}

// Preview makes a note for a ticket of the desk, or for a text, and neither posts nor keeps it. It may take as long as a run,
// and uses the model as a run does. What it cost is in the answer only.
func (s *Service) Preview(ctx context.Context, actor, tenantID string, t evidence.Ticket) (Preview, error) {
	if (t.ID == "") == (t.Text() == "") {
		return Preview{}, fault.New(fault.Invalid, "a preview needs one of a ticket of the desk and a text").
			WithDetails(map[string]string{"ticket_id": "give this, or description with or without subject"})
	}
	if _, err := s.deps.Tenants.Fresh(ctx, tenantID); err != nil {
		return Preview{}, err
	}
	err := s.deps.DB.InTenantTx(ctx, tenantID, func(ctx context.Context, tx pgx.Tx) error {
		return s.deps.Audit.RecordTx(ctx, tx, tenantID, actor, "enhancement.preview", map[string]any{"ticket_id": t.ID})
	})
	if err != nil {
		return Preview{}, err
	}
	made, err := s.deps.Previews.Preview(ctx, tenantID, t)
	if err != nil {
		return Preview{}, err
	}
	p := Preview{
		TenantID: tenantID, NoteHTML: made.HTML, NoteText: made.Text, Context: made.Bundle, Answer: made.Answer, Calls: []enhancement.CallRecord{},
		TookMs: made.Took.Milliseconds(),
	}
	for _, c := range made.Calls {
		p.CostUSD += c.CostUSD
		p.Calls = append(p.Calls, enhancement.CallRecord{
			Model: c.Model, Outcome: string(c.Outcome), PromptTokens: int(c.PromptTokens), CachedTokens: int(c.CachedTokens),
			CompletionTokens: int(c.CompletionTokens), CostUSD: c.CostUSD, PriceDate: c.PriceDate, DurationMs: int(c.Duration.Milliseconds()),
			CreatedAt: s.deps.Clock().UTC(),
		})
	}
	return p, nil
}

// AuditEntry tells who did what to which tenant.
type AuditEntry struct {
	TenantID string `json:"tenant_id"`
	tenant.AuditEntry
}

// AuditFilter narrows the audit log. Zero values leave a field open.
type AuditFilter struct {
	// TenantID is one tenant; empty reads the log of all, of those deleted lately too.
	TenantID string
	// Actor is a whole actor or the part before its colon.
	Actor        string
	Action       string
	Since, Until time.Time
	Limit        int
	Cursor       string
}

// AuditPage is one page of the audit log.
type AuditPage struct {
	Items      []AuditEntry `json:"items"`
	NextCursor string       `json:"next_cursor" doc:"Give it as cursor to get the next page; empty on the last one"`
}

// Audit reads the audit log, the newest first.
func (s *Service) Audit(ctx context.Context, f AuditFilter) (AuditPage, error) {
	details := map[string]string{}
	after, limit := checkPage(f.Limit, f.Cursor, details)
	if len(details) > 0 {
		return AuditPage{}, fault.New(fault.Invalid, "the audit log cannot be read as asked").WithDetails(details)
	}
	ids, err := s.chosen(ctx, f.TenantID, s.deps.Audit.AuditedIDs)
	if err != nil {
		return AuditPage{}, err
	}
	filter := tenant.AuditFilter{Actor: f.Actor, Action: f.Action, Since: f.Since, Until: f.Until, Limit: limit + 1, AfterAt: after.At}
	if !after.At.IsZero() {
		filter.AfterID = after.ID.String()
	}
	lists, err := eachTenant(ctx, s, ids, func(ctx context.Context, id string) ([]AuditEntry, error) {
		entries, err := s.deps.Audit.Audit(ctx, id, filter)
		list := make([]AuditEntry, len(entries))
		for i, e := range entries {
			list[i] = AuditEntry{TenantID: id, AuditEntry: e}
		}
		return list, err
	})
	if err != nil {
		return AuditPage{}, err
	}
	all := slices.Concat(lists...)
	slices.SortFunc(all, func(a, b AuditEntry) int { return newestFirst(a.At, b.At, uuid.MustParse(a.ID), uuid.MustParse(b.ID)) })
	page := AuditPage{Items: all[:min(len(all), limit)]}
	if page.Items == nil {
		page.Items = []AuditEntry{}
	}
	if len(all) > limit {
		last := all[limit-1]
		page.NextCursor = cursor{At: last.At, ID: uuid.MustParse(last.ID)}.String()
	}
	return page, nil
}

// newestFirst orders by time and then by id, both downwards, as Postgres does.
func newestFirst(a, b time.Time, x, y uuid.UUID) int {
	if c := b.Compare(a); c != 0 {
		return c
	}
	return bytes.Compare(y[:], x[:])
}

// cursor is the place of the last line of a page. It holds nothing that the page did not show.
type cursor struct {
	At time.Time `json:"t"`
	ID uuid.UUID `json:"i"`
}

// String is the cursor as callers see it.
func (c cursor) String() string {
	raw, err := json.Marshal(c)
	if err != nil {
		return "" // a time and an id always encode
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

func parseCursor(text string) (c cursor, err error) {
	if text == "" {
		return c, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return c, err
	}
	if err := json.Unmarshal(raw, &c); err != nil {
		return c, err
	}
	if c.At.IsZero() {
		return c, errors.New("a cursor without a time")
	}
	return c, nil
}
