package openai

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

const invalidRequest = "invalid_request_error"

// apiError is the content of an error body.
type apiError struct {
	message, kind, param, code string
}

// answer is a response before it is sent, with the way it is to be mistreated.
type answer struct {
	status int
	mime   string
	body   []byte
	header map[string]string
	cut    bool          // close the connection instead
	half   bool          // close the connection half way through the body
	drip   time.Duration // pause between bytes
}

func jsonAnswer(status int, v any) *answer {
	body, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("encode answer: %v", err)) // only our own maps and strings
	}
	return &answer{status: status, mime: "application/json", body: body}
}

// refuse builds an error body in the server's style.
func (s *Server) refuse(status int, e apiError) *answer {
	switch s.opts.Errors {
	case Flat:
		return jsonAnswer(status, map[string]any{
			"object": "error", "message": e.message, "type": e.kind, "param": orNull(e.param), "code": status,
		})
	case Plain:
		return jsonAnswer(status, map[string]any{"error": e.message})
	}
	return jsonAnswer(status, map[string]any{"error": map[string]any{
		"message": e.message, "type": e.kind, "param": orNull(e.param), "code": orNull(e.code),
	}})
}

// orNull: absent members are null in error bodies, never missing or empty.
func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// invalid is the usual 400.
func (s *Server) invalid(param, code, format string, args ...any) *answer {
	return s.refuse(http.StatusBadRequest, apiError{
		message: fmt.Sprintf(format, args...), kind: invalidRequest, param: param, code: code,
	})
}

// send writes the answer; net/http closes the connection on ErrAbortHandler.
func (a *answer) send(w http.ResponseWriter, done <-chan struct{}) {
	if a.cut {
		panic(http.ErrAbortHandler)
	}
	for k, v := range a.header {
		w.Header().Set(k, v)
	}
	w.Header().Set("Content-Type", a.mime)
	w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
	w.WriteHeader(a.status)
	switch {
	case a.half:
		_, _ = w.Write(a.body[:len(a.body)/2])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	case a.drip > 0:
		drip(w, a.body, a.drip, done)
	default:
		_, _ = w.Write(a.body)
	}
}

// drip sends byte by byte; a client needs a limit on the whole answer, not on silence.
func drip(w http.ResponseWriter, body []byte, pause time.Duration, done <-chan struct{}) {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for i := range body {
		if _, err := w.Write(body[i : i+1]); err != nil {
			return
		}
		if http.NewResponseController(w).Flush() != nil {
			return
		}
		select {
		case <-tick.C:
		case <-done:
			panic(http.ErrAbortHandler)
		}
	}
}
