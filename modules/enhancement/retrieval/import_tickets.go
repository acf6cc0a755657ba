package retrieval

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"aiagents/internal/fault"
)

// Format is the format of an imported file.
type Format string

// The formats that tickets can be imported from.
const (
	CSV   Format = "csv"
	JSONL Format = "jsonl"
)

const (
	importBatch      = 500
	importBatchBytes = 2 << 20 // a batch is stored early when its texts are long
	maxLine          = 8 << 20 // of one JSONL row
	maxIgnored       = 50      // unknown columns that the warning names
)

// ticketColumns are the columns of an import; others are ignored with a warning.
var ticketColumns = []string{"ticket_id", "subject", "description", "resolution", "resolved_at", "priority", "tags"}

// ImportTickets reads past tickets and stores them in batches, each committed on its own, so that the memory it takes does
// not depend on the file and a stopped import goes on where it was: run again, it finds the first rows unchanged.
//
// A bad row is reported with its line and the rest is kept. An error is returned when the file as a whole cannot be
// read, or the database cannot be written; the report then says what was stored before. Size is the length of the input in
// bytes, 0 when it is not known; progress may be nil.
func (s *Store) ImportTickets(ctx context.Context, tenantID string, format Format, r io.Reader, size int64, progress Progress) (Report, error) {
	im := &ticketImport{store: s, tenantID: tenantID, input: &countingReader{r: r}, size: size, progress: progress}
	var err error
	switch format {
	case CSV:
		err = im.readCSV(ctx)
	case JSONL:
		err = im.readJSONL(ctx)
	default:
		err = fault.Newf(fault.Invalid, "format %q: expected csv or jsonl", format)
	}
	if err == nil {
		err = im.flush(ctx)
	}
	if len(im.ignored) > 0 {
		im.report.warn("ignored columns: %s", strings.Join(im.ignored, ", "))
	}
	if err != nil {
		return im.report, fmt.Errorf("import tickets: %w", err)
	}
	return im.report, s.Fold(ctx, tenantID)
}

type ticketImport struct {
	store    *Store
	tenantID string
	input    *countingReader
	size     int64
	progress Progress
	report   Report
	batch    []Ticket
	bytes    int
	ignored  []string
}

// row is a ticket as text, before its fields are checked.
type row struct {
	id, subject, description, resolution, resolvedAt, priority string
	tags                                                       []string
}

// take checks one row and adds it to the batch.
func (im *ticketImport) take(ctx context.Context, line int, r row) error {
	ticket, reason := r.ticket()
	if reason != "" {
		im.report.reject(RowError{Line: line, Reason: reason})
		return nil
	}
	im.batch = append(im.batch, ticket)
	im.bytes += len(ticket.Subject) + len(ticket.Description) + len(ticket.Resolution)
	if len(im.batch) < importBatch && im.bytes < importBatchBytes {
		return nil
	}
	return im.flush(ctx)
}

func (im *ticketImport) flush(ctx context.Context) error {
	if len(im.batch) > 0 {
		change, err := im.store.UpsertTickets(ctx, im.tenantID, im.batch)
		if err != nil {
			return err
		}
		im.report.count(change)
		im.batch, im.bytes = im.batch[:0], 0
	}
	if im.progress != nil {
		im.progress(im.input.n, im.size)
	}
	return ctx.Err()
}

func (r row) ticket() (Ticket, string) {
	t := Ticket{
		ID: strings.TrimSpace(r.id), Subject: r.subject, Description: r.description, Resolution: r.resolution,
		Priority: r.priority, Tags: r.tags, Source: "import",
	}
	switch {
	case t.ID == "":
		return t, "ticket_id is empty"
	case len(t.ID) > maxTicketID || strings.ContainsFunc(t.ID, notInTicketID):
		return t, fmt.Sprintf("ticket_id must have 1 to %d letters, digits or . _ : -", maxTicketID)
	case strings.TrimSpace(r.subject) == "" && strings.TrimSpace(r.description) == "":
		return t, "subject and description are both empty"
	}
	if at := strings.TrimSpace(r.resolvedAt); at != "" {
		parsed, err := time.Parse(time.RFC3339, at)
		if err != nil {
			return t, "resolved_at must be RFC 3339 with a zone, such as 2026-03-01T14:05:00Z"
		}
		t.ResolvedAt = parsed
	}
	return t, ""
}

func notInTicketID(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("._:-", r)
}

// readCSV takes the columns by the names in the first line, in any order.
func (im *ticketImport) readCSV(ctx context.Context) error {
	reader := csv.NewReader(withoutByteOrderMark(im.input))
	reader.FieldsPerRecord = -1
	reader.ReuseRecord = true
	header, err := reader.Read()
	if errors.Is(err, io.EOF) {
		return fault.New(fault.Invalid, "the file is empty")
	}
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "the first line cannot be read as CSV")
	}
	columns, err := im.columns(header)
	if err != nil {
		return err
	}
	width := len(header)
	for {
		record, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		var bad *csv.ParseError
		if errors.As(err, &bad) {
			im.report.reject(RowError{Line: bad.StartLine, Reason: bad.Err.Error()})
			continue
		}
		if err != nil {
			return fmt.Errorf("read file: %w", err)
		}
		line, _ := reader.FieldPos(0)
		if len(record) != width {
			im.report.reject(RowError{Line: line, Reason: fmt.Sprintf("has %d fields, expected %d", len(record), width)})
			continue
		}
		if err := im.take(ctx, line, rowOf(record, columns)); err != nil {
			return err
		}
	}
}

// withoutByteOrderMark drops what spreadsheets put first.
func withoutByteOrderMark(r io.Reader) io.Reader {
	buffered := bufio.NewReader(r)
	if mark, err := buffered.Peek(3); err == nil && bytes.Equal(mark, []byte("\xEF\xBB\xBF")) {
		_, _ = buffered.Discard(3)
	}
	return buffered
}

func rowOf(record []string, columns map[string]int) row {
	field := func(name string) string {
		if i, ok := columns[name]; ok {
			return strings.Clone(record[i]) // the reader uses the record's memory again
		}
		return ""
	}
	return row{
		id: field("ticket_id"), subject: field("subject"), description: field("description"), resolution: field("resolution"),
		resolvedAt: field("resolved_at"), priority: field("priority"), tags: strings.Split(field("tags"), ";"),
	}
}

// columns finds the known columns in the header and remembers the others.
func (im *ticketImport) columns(header []string) (map[string]int, error) {
	columns := map[string]int{}
	for i, name := range header {
		name = strings.ToLower(strings.TrimSpace(name))
		if !slices.Contains(ticketColumns, name) {
			im.ignored = append(im.ignored, name)
			continue
		}
		if _, twice := columns[name]; twice {
			return nil, fault.Newf(fault.Invalid, "the column %s is there twice", name)
		}
		columns[name] = i
	}
	if _, ok := columns["ticket_id"]; !ok {
		return nil, fault.Newf(fault.Invalid, "the first line must name the columns, ticket_id among them: %s", strings.Join(ticketColumns, ", "))
	}
	return columns, nil
}

// readJSONL takes one object a line.
func (im *ticketImport) readJSONL(ctx context.Context) error {
	reader := bufio.NewReaderSize(im.input, 64<<10)
	for line := 1; ; line++ {
		data, tooLong, err := readLine(reader)
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("read file: %w", err)
		}
		data = bytes.TrimSpace(data)
		switch {
		case tooLong:
			im.report.reject(RowError{Line: line, Reason: fmt.Sprintf("is longer than %d MiB", maxLine>>20)})
		case len(data) > 0:
			r, reason := im.parse(data)
			if reason != "" {
				im.report.reject(RowError{Line: line, Reason: reason})
			} else if terr := im.take(ctx, line, r); terr != nil {
				return terr
			}
		}
		if err != nil {
			return nil //nolint:nilerr // only the end of the file is left
		}
	}
}

// readLine reads one line whatever its length, but keeps no more than maxLine of it.
func readLine(r *bufio.Reader) (line []byte, tooLong bool, err error) {
	for {
		part, err := r.ReadSlice('\n')
		if len(line)+len(part) <= maxLine {
			line = append(line, part...)
		} else {
			tooLong = true
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, tooLong, err
		}
	}
}

func (im *ticketImport) parse(data []byte) (r row, reason string) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil || fields == nil {
		return r, "is no JSON object"
	}
	targets := map[string]*string{
		"ticket_id": &r.id, "subject": &r.subject, "description": &r.description, "resolution": &r.resolution,
		"resolved_at": &r.resolvedAt, "priority": &r.priority,
	}
	for name, value := range fields {
		ok := true
		switch target := targets[name]; {
		case target != nil:
			*target, ok = parseText(value)
		case name == "tags":
			r.tags, ok = parseTags(value)
		case len(im.ignored) < maxIgnored && !slices.Contains(im.ignored, name):
			im.ignored = append(im.ignored, name)
		}
		if !ok {
			return r, name + " must be text"
		}
	}
	return r, ""
}

// parseText takes a string, a number (desks number their tickets) or null.
func parseText(value json.RawMessage) (string, bool) {
	var text *string
	if json.Unmarshal(value, &text) == nil {
		if text == nil {
			return "", true
		}
		return *text, true
	}
	var number json.Number
	if json.Unmarshal(value, &number) == nil {
		return number.String(), true
	}
	return "", false
}

func parseTags(value json.RawMessage) ([]string, bool) {
	var list []string
	if json.Unmarshal(value, &list) == nil {
		return list, true
	}
	text, ok := parseText(value)
	return strings.Split(text, ";"), ok
}

// countingReader counts what was read.
type countingReader struct {
	r io.Reader
	n int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}
