package openai

import (
	"net/http"
	"strings"
	"time"
)

// Record is one request as the server received it, key included.
type Record struct {
	Seq    int
	Time   time.Time
	Method string
	Path   string
	Header http.Header
	Body   string
	Model  string
	// Prompt is the text of all messages, or of all embedding inputs.
	Prompt string
	// Status is what was answered; 0 while in work or without an answer.
	Status    int
	Behaviour Kind
}

// begin counts and records a request before it is judged.
func (s *Server) begin(c *call) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total++
	s.calls[c.URL.Path]++
	c.entry = -1
	if s.opts.CountersOnly {
		return s.total
	}
	s.log = append(s.log, Record{
		Seq: s.total, Time: s.opts.Clock(), Method: c.Method, Path: c.URL.Path, Header: c.Header, Body: string(c.body),
	})
	c.entry = len(s.log) - 1
	return s.total
}

// note completes the record of a call with what is known once it is decoded.
func (s *Server) note(c *call, change func(*Record)) {
	if c.entry < 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.log[c.entry])
}

// end adds the status; a request whose connection was cut keeps 0.
func (s *Server) end(c *call, a *answer) {
	if !a.cut {
		s.note(c, func(r *Record) { r.Status = a.status })
	}
}

// Requests returns every request so far, oldest first; nothing with CountersOnly.
func (s *Server) Requests() []Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Record(nil), s.log...)
}

// Find returns the requests whose body contains the text.
func (s *Server) Find(text string) []Record {
	var out []Record
	for _, r := range s.Requests() {
		if strings.Contains(r.Body, text) || strings.Contains(r.Prompt, text) {
			out = append(out, r)
		}
	}
	return out
}

// Calls returns how many chat completions were asked for, refused ones included.
func (s *Server) Calls() int { return s.CallsTo("/v1/chat/completions") }

// CallsTo counts requests to one path; "" counts all.
func (s *Server) CallsTo(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if path == "" {
		return s.total
	}
	return s.calls[path]
}
