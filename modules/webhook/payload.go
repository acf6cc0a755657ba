package webhook

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"aiagents/internal/fault"
)

// The limits of the fields, in characters; see docs/webhooks.md.
const (
	maxSubject       = 500
	maxDescription   = 10_000
	maxResolution    = 20_000
	maxPriority      = 100
	maxCorrelationID = 200
	maxWebhookID     = 256
	maxTags          = 50
	maxTag           = 100
)

// The events that are acted upon; every other one is recorded as skipped.
const (
	eventCreated  = "ticket_created"
	eventResolved = "ticket_resolved"
	eventClosed   = "ticket_closed"
	// eventRecorded is how the history names a delivery to the resolved-ticket endpoint.
	eventRecorded = "resolved_ticket"
)

var (
	ticketIDPattern = regexp.MustCompile(`^[A-Za-z0-9._-]{1,100}$`)
	eventPattern    = regexp.MustCompile(`^[A-Za-z0-9._:-]{1,100}$`)
)

// claimedTenant reads the top-level tenant_id without believing anything else in the body, and works on a body that is
// cut short as well: a sender that proves who it is deserves to hear that its JSON is malformed.
func claimedTenant(body []byte) string {
	d := json.NewDecoder(bytes.NewReader(body))
	if token, err := d.Token(); err != nil || token != json.Delim('{') {
		return ""
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return ""
		}
		if key == "tenant_id" {
			var value any
			if err := d.Decode(&value); err != nil {
				return ""
			}
			id, _ := value.(string)
			return id
		}
		var skipped json.RawMessage
		if err := d.Decode(&skipped); err != nil {
			return ""
		}
	}
	return ""
}

// ticketID is text, or a JSON number: ServiceDesk Plus fills its placeholders without quotes when asked to.
type ticketID string

func (t *ticketID) UnmarshalJSON(b []byte) error {
	var text string
	if json.Unmarshal(b, &text) == nil {
		*t = ticketID(text)
		return nil
	}
	var number json.Number
	if err := json.Unmarshal(b, &number); err != nil {
		return fmt.Errorf("must be text or a number")
	}
	*t = ticketID(number.String())
	return nil
}

// fields decodes an object field by field, so that one answer can name everything that is wrong with it.
type fields struct {
	raw    map[string]json.RawMessage
	faults map[string]string
}

func decodeFields(body []byte) (*fields, error) {
	f := &fields{faults: map[string]string{}}
	if err := json.Unmarshal(body, &f.raw); err != nil || f.raw == nil {
		return nil, invalidPayload("the body is not a JSON object", nil)
	}
	return f, nil
}

func (f *fields) get(name string, into any, expected string) bool {
	raw, ok := f.raw[name]
	if !ok || string(raw) == "null" {
		return false
	}
	if err := json.Unmarshal(raw, into); err != nil {
		f.faults[name] = "must be " + expected
		return false
	}
	return true
}

// text reads an optional text field. NUL cannot be stored by Postgres and carries nothing, so it is taken out.
func (f *fields) text(name string, limit int) string {
	var s string
	f.get(name, &s, "text")
	s = strings.ReplaceAll(s, "\x00", "")
	if n := utf8.RuneCountInString(s); n > limit {
		f.faults[name] = fmt.Sprintf("must be at most %d characters, has %d", limit, n)
	}
	return s
}

func (f *fields) ticketID() string {
	var id ticketID
	if !f.get("ticket_id", &id, "text or a number") {
		if _, ok := f.faults["ticket_id"]; !ok {
			f.faults["ticket_id"] = "is required"
		}
		return ""
	}
	if !ticketIDPattern.MatchString(string(id)) {
		f.faults["ticket_id"] = "must be 1 to 100 of A-Z a-z 0-9 . _ -"
	}
	return string(id)
}

func (f *fields) time(name string) time.Time {
	var s string
	if !f.get(name, &s, "a time such as 2026-01-31T09:30:00Z") || s == "" {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		f.faults[name] = "must be a time with a zone (RFC 3339), such as 2026-01-31T09:30:00Z"
	}
	return t
}

func (f *fields) tenant(verified string) {
	var claimed string
	if f.get("tenant_id", &claimed, "text") && claimed != verified {
		f.faults["tenant_id"] = "differs from the tenant that was authenticated"
	}
}

func (f *fields) err() error {
	if len(f.faults) == 0 {
		return nil
	}
	return invalidPayload("the payload has invalid fields", f.faults)
}

func invalidPayload(message string, details map[string]string) error {
	return fault.New(fault.Invalid, message).WithCode("INVALID_PAYLOAD").WithDetails(details)
}

// decodeDelivery reads the body of a verified delivery. Only ticket_id is required: the worker fetches what a thin body
// leaves out. Unknown fields are ignored.
func decodeDelivery(tenantID, webhookID string, body []byte) (Delivery, error) {
	f, err := decodeFields(body)
	if err != nil {
		return Delivery{}, err
	}
	f.tenant(tenantID)
	d := Delivery{
		TenantID:      tenantID,
		TicketID:      f.ticketID(),
		Subject:       f.text("subject", maxSubject),
		Description:   f.text("description", maxDescription),
		Priority:      f.text("priority", maxPriority),
		CorrelationID: f.text("correlation_id", maxCorrelationID),
		CreatedAt:     f.time("created_at"),
		Event:         eventCreated,
	}
	var event string
	if f.get("event", &event, "text") && event != "" {
		d.Event = event
	}
	if !eventPattern.MatchString(d.Event) {
		f.faults["event"] = "must be 1 to 100 of A-Z a-z 0-9 . _ : -"
	}
	if len(webhookID) > maxWebhookID {
		f.faults["webhook-id"] = fmt.Sprintf("must be at most %d bytes", maxWebhookID)
	}
	d.Key = deliveryKey("event", webhookID, d.Event, d.TicketID, instant(d.CreatedAt))
	return d, f.err()
}

// decodeResolved reads the body of the resolved-ticket endpoint. Its delivery is keyed by the whole body, so that a
// corrected resolution is stored and only the very same request again counts as a duplicate.
func decodeResolved(tenantID, webhookID string, body []byte) (Delivery, ResolvedTicket, error) {
	f, err := decodeFields(body)
	if err != nil {
		return Delivery{}, ResolvedTicket{}, err
	}
	f.tenant(tenantID)
	t := ResolvedTicket{
		TicketID:    f.ticketID(),
		Subject:     f.required("subject", maxSubject),
		Description: f.required("description", maxDescription),
		Resolution:  f.required("resolution", maxResolution),
		Priority:    f.text("priority", maxPriority),
		ResolvedAt:  f.time("resolved_date"),
		Tags:        f.tags(),
	}
	if _, bad := f.faults["resolved_date"]; !bad && t.ResolvedAt.IsZero() {
		f.faults["resolved_date"] = "is required"
	}
	sum := sha256.Sum256(body)
	d := Delivery{
		TenantID: tenantID, TicketID: t.TicketID, Event: eventRecorded, Subject: t.Subject,
		CorrelationID: f.text("correlation_id", maxCorrelationID),
		Key:           deliveryKey("resolution", webhookID, t.TicketID, string(sum[:])),
	}
	return d, t, f.err()
}

func (f *fields) required(name string, limit int) string {
	s := f.text(name, limit)
	if _, bad := f.faults[name]; !bad && strings.TrimSpace(s) == "" {
		f.faults[name] = "is required"
	}
	return s
}

func (f *fields) tags() []string {
	tags := []string{}
	f.get("tags", &tags, "a list of texts")
	if len(tags) > maxTags {
		f.faults["tags"] = fmt.Sprintf("must be at most %d", maxTags)
	}
	for i, tag := range tags {
		tags[i] = strings.ReplaceAll(tag, "\x00", "")
		if utf8.RuneCountInString(tag) > maxTag {
			f.faults["tags"] = fmt.Sprintf("each must be at most %d characters", maxTag)
		}
	}
	return tags
}

// instant makes equal times equal text, whatever zone they were written in.
func instant(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// deliveryKey identifies a delivery to one endpoint for ever: by the sender's own id if there is one, else by the parts.
// Each part is preceded by its length, so no two lists of parts can look alike.
func deliveryKey(endpoint, webhookID string, parts ...string) []byte {
	h := sha256.New()
	if webhookID != "" {
		parts = []string{endpoint, webhookID}
	} else {
		parts = append([]string{endpoint}, append(parts, "")...)
	}
	_ = binary.Write(h, binary.BigEndian, uint32(len(parts))) // a hash never fails to write
	for _, part := range parts {
		_ = binary.Write(h, binary.BigEndian, uint32(len(part)))
		h.Write([]byte(part))
	}
	return h.Sum(nil)
}
