package openai

import (
	"fmt"
	"net/http"
	"time"
)

// Model is a model the server has, or had.
type Model struct {
	ID string
	// Reasoning models refuse max_tokens and, unless effort is none, sampling arguments.
	Reasoning bool
	// Embedding is the length of the vectors; 0 for chat models.
	Embedding int
	// FixedLength models refuse to be told the length.
	FixedLength bool
	// Shutdown is when the model goes away; zero is never.
	Shutdown time.Time
	// Context is the limit on prompt tokens; 0 is none.
	Context int
}

func day(year int, month time.Month, d int) time.Time {
	return time.Date(year, month, d, 0, 0, 0, 0, time.UTC)
}

// DefaultModels are the models of late 2026 with their announced shutdown dates.
func DefaultModels() []Model {
	return []Model{
		{ID: "gpt-4o-mini", Context: 128_000, Shutdown: day(2027, 1, 14)},
		{ID: "gpt-4o", Context: 128_000, Shutdown: day(2027, 1, 14)},
		{ID: "gpt-4.1-mini", Context: 1_047_576, Shutdown: day(2027, 1, 14)},
		{ID: "gpt-4.1-nano", Context: 1_047_576, Shutdown: day(2026, 10, 23)},
		{ID: "o4-mini", Reasoning: true, Context: 200_000, Shutdown: day(2026, 10, 23)},
		{ID: "gpt-5-mini", Reasoning: true, Context: 400_000, Shutdown: day(2026, 12, 11)},
		{ID: "gpt-5.4-mini", Reasoning: true, Context: 400_000},
		{ID: "gpt-6-luna", Reasoning: true, Context: 1_050_000},
		{ID: "text-embedding-3-small", Embedding: 1536},
		{ID: "text-embedding-3-large", Embedding: 3072},
		{ID: "text-embedding-ada-002", Embedding: 1536, FixedLength: true},
	}
}

// model finds a model that can be used now, or the refusal to send.
func (s *Server) model(id string) (Model, *answer) {
	if id == "" {
		return Model{}, s.invalid("", "", "you must provide a model parameter")
	}
	for _, m := range s.models {
		if m.ID != id {
			continue
		}
		if !m.Shutdown.IsZero() && !s.opts.Clock().Before(m.Shutdown) {
			return Model{}, s.refuse(http.StatusNotFound, apiError{
				message: fmt.Sprintf("The model `%s` has been deprecated.", id), kind: invalidRequest, code: "model_not_found",
			})
		}
		return m, nil
	}
	return Model{}, s.refuse(http.StatusNotFound, apiError{
		message: fmt.Sprintf("The model `%s` does not exist or you do not have access to it.", id),
		kind:    invalidRequest, code: "model_not_found",
	})
}

// json has shutdown_date only where one is announced.
func (m Model) json() map[string]any {
	v := map[string]any{"id": m.ID, "object": "model", "created": day(2025, 1, 1).Unix(), "owned_by": "system"}
	if !m.Shutdown.IsZero() {
		v["shutdown_date"] = m.Shutdown.Format(time.DateOnly)
	}
	return v
}

// listModels leaves out what is gone, so that a daily check can notice.
func (s *Server) listModels(*call) *answer {
	data := []any{}
	for _, m := range s.models {
		if _, gone := s.model(m.ID); gone == nil {
			data = append(data, m.json())
		}
	}
	return jsonAnswer(http.StatusOK, map[string]any{"object": "list", "data": data})
}

func (s *Server) getModel(c *call) *answer {
	m, refused := s.model(c.PathValue("id"))
	if refused != nil {
		return refused
	}
	return jsonAnswer(http.StatusOK, m.json())
}
