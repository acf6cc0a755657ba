package systems

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"

	"aiagents/internal/fault"
)

// Bounds of one row.
const (
	maxRecordBytes   = 1 << 20
	maxFieldBytes    = 1000
	maxMetadataBytes = 16 << 10
	maxHostnameBytes = 253
)

// host is one row of an import, checked and in canonical form.
type host struct {
	line         int
	ip           *netip.Prefix
	hostname     string
	key          string
	mac          string
	role         string
	location     string
	metadataJSON string
}

// source gives one host after the other. io.EOF ends it, a RowError concerns one row only, any other error ends the import.
type source interface {
	next() (host, error)
}

// newHost checks the fields of a row.
func newHost(line int, fields map[string]string) (host, error) {
	h := host{line: line}
	metadata := map[string]string{}
	for name, value := range fields {
		value = strings.TrimSpace(value)
		if !utf8.ValidString(name+value) || strings.ContainsRune(name+value, 0) {
			return h, RowError{line, fmt.Sprintf("%s: is not UTF-8 text", shorten(strings.ToValidUTF8(name, "?")))}
		}
		if len(value) > maxFieldBytes {
			return h, RowError{line, fmt.Sprintf("%s: longer than %d bytes", name, maxFieldBytes)}
		}
		switch name {
		case "ip", "hostname":
		case "role":
			h.role = value
		case "location":
			h.location = value
		default:
			if value != "" {
				metadata[name] = value
			}
			if h.mac == "" && strings.HasPrefix(name, "mac") {
				h.mac = macKey(value)
			}
		}
	}
	encoded, err := json.Marshal(metadata)
	if err != nil || len(encoded) > maxMetadataBytes {
		return h, RowError{line, fmt.Sprintf("metadata: more than %d bytes together", maxMetadataBytes)}
	}
	h.metadataJSON = string(encoded)
	return h, h.identify(strings.TrimSpace(fields["ip"]), strings.TrimSpace(fields["hostname"]))
}

// identify sets address and name, of which one may be missing.
func (h *host) identify(ip, hostname string) error {
	if ip == "" && hostname == "" {
		return RowError{h.line, "neither ip nor hostname"}
	}
	if len(hostname) > maxHostnameBytes {
		return RowError{h.line, fmt.Sprintf("hostname: longer than %d bytes", maxHostnameBytes)}
	}
	if strings.ContainsFunc(hostname, unicode.IsControl) {
		return RowError{h.line, "hostname: contains a control character"}
	}
	h.hostname, h.key = hostname, nameKey(hostname)
	if h.key == "" && ip == "" {
		return RowError{h.line, "hostname: is only dots"}
	}
	if ip == "" {
		return nil
	}
	p, err := parseAddress(ip)
	if err != nil {
		return RowError{h.line, fmt.Sprintf("ip: %q is neither an IPv4 or IPv6 address nor a network such as 10.2.3.0/24", shorten(ip))}
	}
	h.ip = &p
	return nil
}

// parseAddress reads an address or a network. Host bits are dropped: an inventory's "10.2.3.5/24" is the host 10.2.3.5.
func parseAddress(text string) (netip.Prefix, error) {
	if !strings.Contains(text, "/") {
		addr, err := netip.ParseAddr(text)
		if err != nil {
			return netip.Prefix{}, fmt.Errorf("parse address: %w", err)
		}
		return fullPrefix(addr), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("parse network: %w", err)
	}
	if p.Masked() != p || p.Addr().Is4In6() {
		return fullPrefix(p.Addr()), nil
	}
	return p, nil
}

func shorten(s string) string {
	if len(s) <= 60 {
		return s
	}
	return strings.ToValidUTF8(s[:60], "") + "…"
}

// limited is a reader that gives up on a record of more than maxRecordBytes, such as after a quote that nobody closed.
type limited struct {
	*bufio.Reader
	counter *counter
}

type counter struct {
	r    io.Reader
	left int
}

var errLongRecord = fault.Newf(fault.Invalid, "a row is longer than %d bytes: is a quote left open?", maxRecordBytes)

func (c *counter) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, errLongRecord
	}
	n, err := c.r.Read(p)
	c.left -= n
	return n, err // as it is: io.EOF must stay io.EOF
}

func newLimited(r io.Reader) limited {
	c := &counter{r: r, left: maxRecordBytes}
	return limited{Reader: bufio.NewReaderSize(c, 64<<10), counter: c}
}

// nextRecord starts the count anew.
func (l limited) nextRecord() { l.counter.left = maxRecordBytes }

type csvSource struct {
	in     limited
	csv    *csv.Reader
	header []string
}

func openCSV(in limited) (*csvSource, error) {
	s := &csvSource{in: in, csv: csv.NewReader(in)}
	head, err := in.Peek(4096)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
		return nil, fmt.Errorf("read inventory: %w", err)
	}
	s.csv.Comma = separator(head)
	s.csv.FieldsPerRecord = -1
	s.csv.ReuseRecord = true
	header, err := s.csv.Read()
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "the header of the inventory cannot be read")
	}
	names := map[string]bool{}
	for _, name := range header {
		name = strings.ToLower(strings.TrimSpace(name))
		if name != "" && names[name] {
			return nil, fault.Newf(fault.Invalid, "the inventory has the column %q twice", shorten(name))
		}
		names[name] = true
		s.header = append(s.header, name)
	}
	if !names["ip"] && !names["hostname"] {
		return nil, fault.Newf(fault.Invalid, "the first line must name the columns ip, hostname, role, location; it has: %s",
			shorten(strings.Join(s.header, ", ")))
	}
	return s, nil
}

// separator is the one of comma, semicolon and tab that the header has most of.
func separator(head []byte) rune {
	line, _, _ := bytes.Cut(head, []byte("\n"))
	best := ','
	for _, candidate := range []rune{';', '\t'} {
		if bytes.Count(line, []byte(string(candidate))) > bytes.Count(line, []byte(string(best))) {
			best = candidate
		}
	}
	return best
}

func (s *csvSource) next() (host, error) {
	for {
		s.in.nextRecord()
		record, err := s.csv.Read()
		// Spreadsheets end their exports with rows of nothing but separators.
		if err == nil && strings.TrimSpace(strings.Join(record, "")) == "" {
			continue
		}
		return s.decode(record, err)
	}
}

func (s *csvSource) decode(record []string, err error) (host, error) {
	var bad *csv.ParseError
	switch {
	case errors.As(err, &bad):
		return host{}, RowError{bad.StartLine, "cannot be read as CSV: " + bad.Err.Error()}
	case errors.Is(err, io.EOF):
		return host{}, io.EOF
	case err != nil:
		return host{}, fmt.Errorf("read inventory: %w", err)
	}
	line, _ := s.csv.FieldPos(0)
	if len(record) > len(s.header) {
		return host{}, RowError{line, fmt.Sprintf("%d fields, but the header has %d", len(record), len(s.header))}
	}
	fields := make(map[string]string, len(record))
	for i, value := range record {
		if s.header[i] != "" {
			fields[s.header[i]] = value
		}
	}
	return newHost(line, fields)
}

type jsonlSource struct {
	in   limited
	line int
}

func (s *jsonlSource) next() (host, error) {
	for {
		s.in.nextRecord()
		raw, err := s.in.ReadBytes('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return host{}, fmt.Errorf("read inventory: %w", err)
		}
		s.line++
		if trimmed := bytes.TrimSpace(raw); len(trimmed) > 0 {
			return s.decode(trimmed)
		}
		if errors.Is(err, io.EOF) {
			return host{}, io.EOF
		}
	}
}

func (s *jsonlSource) decode(raw []byte) (host, error) {
	var object map[string]any
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	if err := decoder.Decode(&object); err != nil || decoder.More() {
		return host{}, RowError{s.line, "is not one JSON object"}
	}
	fields := make(map[string]string, len(object))
	for name, value := range object {
		name = strings.ToLower(strings.TrimSpace(name))
		if nested, ok := value.(map[string]any); ok && name == "metadata" {
			for k, v := range nested {
				fields[strings.ToLower(strings.TrimSpace(k))] = plain(v)
			}
			continue
		}
		fields[name] = plain(value)
	}
	return newHost(s.line, fields)
}

// plain is a JSON value as text; lists and objects stay JSON.
func plain(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case string:
		return v
	case json.Number:
		return v.String()
	}
	encoded, err := json.Marshal(value)
	if err != nil {
		return ""
	}
	return string(encoded)
}
