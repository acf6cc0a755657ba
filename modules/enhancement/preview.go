package enhancement

import (
	"context"
	"fmt"
	"time"

	"aiagents/modules/enhancement/evidence"
	"aiagents/modules/enhancement/note"
	"aiagents/modules/enhancement/synthesis"
)

// Preview is a note that was made but neither posted nor kept.
type Preview struct {
	Bundle evidence.Bundle  `json:"context"`
	Answer evidence.Answer  `json:"answer"`
	HTML   string           `json:"note_html"`
	Text   string           `json:"note_text"`
	Calls  []synthesis.Call `json:"model_calls"`
	Took   time.Duration    `json:"took"`
}

// previewReference stands where a note has its reference. It can never be taken for one.
const previewReference = "AIA-PREVIEW"

// Preview makes the note for a ticket of the desk, or for a text alone, through the same stages as a run.
func (m *Module) Preview(ctx context.Context, tenantID string, t evidence.Ticket) (Preview, error) {
	start := time.Now()
	prefs, err := m.deps.Tenants.Preferences(ctx, tenantID)
	if err != nil {
		return Preview{}, fmt.Errorf("read preferences: %w", err)
	}
	if t.Text() == "" {
		got, err := m.deps.Desk.Ticket(ctx, tenantID, t.ID)
		if err != nil {
			return Preview{}, fmt.Errorf("fetch ticket: %w", err)
		}
		t = got.Ticket
	}
	if t.CreatedAt.IsZero() {
		t.CreatedAt = m.deps.Clock()
	}
	b := m.gather(ctx, tenantID, t)
	res, err := m.deps.Model.Synthesise(ctx, b, synthesis.Options{Language: prefs.Language, MaxWords: prefs.MaxWords, Model: prefs.Model})
	if err != nil {
		return Preview{}, fmt.Errorf("synthesise: %w", err)
	}
	m.metrics.called(tenantID, res.Calls)
	if !prefs.ShowRequester {
		res.Answer = withoutRequester(res.Answer, t.Requester)
	}
	in := note.Input{
		Bundle: b, Answer: res.Answer, Reference: previewReference, Language: prefs.Language,
		MaxWords: prefs.MaxWords, Model: res.Model, GeneratedAt: m.deps.Clock(), Elapsed: time.Since(start),
	}
	html, _ := note.Render(in)
	return Preview{
		Bundle: b, Answer: res.Answer, HTML: html, Text: note.Text(in, 0), Calls: res.Calls, Took: time.Since(start),
	}, nil
}
