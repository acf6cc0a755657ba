package retrieval

import "fmt"

// Report says what an import did.
type Report struct {
	Added     int        `json:"added"`
	Updated   int        `json:"updated"`
	Unchanged int        `json:"unchanged"`
	Removed   int        `json:"removed"`
	Rejected  int        `json:"rejected"`
	Errors    []RowError `json:"errors,omitempty"` // the first maxRowErrors of the rejected
	Warnings  []string   `json:"warnings,omitempty"`
}

// RowError says why one row or file was not taken.
type RowError struct {
	// Line is where the row starts, counted from 1; 0 for a file.
	Line int `json:"line,omitempty"`
	// File is set where a folder is imported.
	File   string `json:"file,omitempty"`
	Reason string `json:"reason"`
}

func (e RowError) Error() string {
	if e.File != "" {
		return fmt.Sprintf("%s: %s", e.File, e.Reason)
	}
	return fmt.Sprintf("line %d: %s", e.Line, e.Reason)
}

// maxRowErrors bounds a report, so that a file of another format does not become a report of its own size.
const maxRowErrors = 1000

func (r *Report) reject(e RowError) {
	r.Rejected++
	if len(r.Errors) < maxRowErrors {
		r.Errors = append(r.Errors, e)
	}
}

func (r *Report) warn(format string, args ...any) {
	r.Warnings = append(r.Warnings, fmt.Sprintf(format, args...))
}

func (r *Report) count(c Change) {
	r.Added += c.Added
	r.Updated += c.Updated
	r.Unchanged += c.Unchanged
}

// Progress is told how much of an import is done, in bytes. Total is 0 when it is not known.
type Progress func(done, total int64)
