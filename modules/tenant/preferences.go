package tenant

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"aiagents/internal/fault"
)

// Preferences say how a tenant wants its notes. A key that is left out takes its default.
type Preferences struct {
	// NoteLanguage is the language of the note, as in "en" or "pt-BR". Default en.
	NoteLanguage string `json:"note_language"`
	// MaxWords bounds the note, 50 to 500. Default 500.
	MaxWords int `json:"max_words"`
	// Skip names the tickets that get no note.
	Skip SkipRules `json:"skip"`
	// VisibleTo says who may see what.
	VisibleTo Visibility `json:"visible_to"`
	// Model overrides the operator's model; empty takes it.
	Model string `json:"model,omitempty"`
	// DailyTokenBudget bounds the model's tokens a day (UTC), after which notes are facts-only; 0 means no bound.
	DailyTokenBudget int64 `json:"daily_token_budget"`
	// TicketHistoryDays is how long solved tickets are kept for search; 0 means for ever.
	TicketHistoryDays int `json:"ticket_history_days"`
	// SyncAssets mirrors the desk's assets into the inventory, where its edition lists them. Default false.
	SyncAssets bool `json:"sync_assets"`
	// Monitoring configures the monitoring sources. Credentials do not belong here: it is stored and shown as it is.
	Monitoring json.RawMessage `json:"monitoring,omitempty"`
	// Documentation configures the remote documentation that is searched, with the same rule about credentials.
	Documentation json.RawMessage `json:"documentation,omitempty"`
}

// SkipRules name tickets by what the desk says about them. Upper and lower case are the same.
type SkipRules struct {
	Categories      []string `json:"categories,omitempty"`
	Priorities      []string `json:"priorities,omitempty"`
	SubjectPrefixes []string `json:"subject_prefixes,omitempty"`
}

// Visibility says who may see what.
type Visibility struct {
	// Audience is who reads the note. It is always "technicians": a note is private, whatever the preferences say.
	Audience string `json:"audience"`
	// ShowRequesterName lets the note name the person who opened the ticket. Default false.
	ShowRequesterName bool `json:"show_requester_name"`
}

const (
	minWords        = 50
	maxWords        = 500
	audience        = "technicians"
	maxSources      = 16 << 10
	maxRules        = 100
	maxRuleLength   = 200
	maxHistoryDays  = 36500
	maxModelLength  = 100
	defaultLanguage = "en"
)

// DefaultPreferences are English notes of at most 500 words on every ticket.
func DefaultPreferences() Preferences {
	return Preferences{NoteLanguage: defaultLanguage, MaxWords: maxWords, VisibleTo: Visibility{Audience: audience}}
}

// ParsePreferences reads preferences that somebody wrote, over the defaults. A key that does not exist is refused, so that a
// misspelt one cannot pass for a setting.
func ParsePreferences(raw []byte) (Preferences, error) {
	p := DefaultPreferences()
	if err := decodeStrict(raw, &p); err != nil {
		return Preferences{}, fault.New(fault.Invalid, "the preferences cannot be read").
			WithDetails(map[string]string{"preferences": err.Error()})
	}
	faults := faults{}
	p.check(faults)
	return p, faults.err("the preferences cannot be used")
}

// decodePreferences reads what is stored. It lets unknown keys pass: during an upgrade a newer process may have written one.
func decodePreferences(raw []byte) (Preferences, error) {
	p := DefaultPreferences()
	if err := json.Unmarshal(raw, &p); err != nil {
		return Preferences{}, fmt.Errorf("decode preferences: %w", err)
	}
	return p, nil
}

// Skips reports whether a ticket gets no note, and by which rule.
func (r SkipRules) Skips(subject, category, priority string) (rule string, skip bool) {
	for _, c := range r.Categories {
		if category != "" && strings.EqualFold(c, category) {
			return "category " + c, true
		}
	}
	for _, p := range r.Priorities {
		if priority != "" && strings.EqualFold(p, priority) {
			return "priority " + p, true
		}
	}
	subject = strings.ToLower(strings.TrimSpace(subject))
	for _, p := range r.SubjectPrefixes {
		if strings.HasPrefix(subject, strings.ToLower(p)) {
			return "subject prefix " + p, true
		}
	}
	return "", false
}

var (
	language = regexp.MustCompile(`^[a-z]{2,3}(-[A-Za-z0-9]{2,8})?$`)
	model    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:/@-]*$`)
	// credentialKey spots a secret that was put where it would be shown.
	credentialKey = regexp.MustCompile(`(?i)(secret|password|passwd|token|api_?key|credential|authorization)`)
)

func (p Preferences) check(f faults) {
	f.when(!language.MatchString(p.NoteLanguage), "preferences.note_language", "must be a language code such as en or pt-BR")
	f.when(p.MaxWords < minWords || p.MaxWords > maxWords, "preferences.max_words", "must be %d to %d", minWords, maxWords)
	f.when(p.VisibleTo.Audience != audience, "preferences.visible_to.audience", "must be %q: a note is always private", audience)
	f.when(p.Model != "" && (len(p.Model) > maxModelLength || !model.MatchString(p.Model)), "preferences.model",
		"must be the name of a model, at most %d characters", maxModelLength)
	f.when(p.DailyTokenBudget < 0, "preferences.daily_token_budget", "must be 0 (no bound) or more")
	f.when(p.TicketHistoryDays < 0 || p.TicketHistoryDays > maxHistoryDays, "preferences.ticket_history_days",
		"must be 0 (for ever) to %d", maxHistoryDays)
	p.Skip.check(f)
	checkSources("preferences.monitoring", p.Monitoring, f)
	checkSources("preferences.documentation", p.Documentation, f)
}

func (r SkipRules) check(f faults) {
	for field, rules := range map[string][]string{"categories": r.Categories, "priorities": r.Priorities, "subject_prefixes": r.SubjectPrefixes} {
		field = "preferences.skip." + field
		f.when(len(rules) > maxRules, field, "must be at most %d", maxRules)
		for _, rule := range rules {
			f.when(strings.TrimSpace(rule) == "" || len(rule) > maxRuleLength, field, "must be texts of 1 to %d bytes", maxRuleLength)
		}
	}
}

// checkSources keeps credentials out of what is stored and shown in the clear: it refers to them by name, see SetSecret.
func checkSources(field string, raw json.RawMessage, f faults) {
	if len(raw) == 0 {
		return
	}
	var object map[string]any
	if err := json.Unmarshal(raw, &object); err != nil || object == nil || len(raw) > maxSources {
		f.when(true, field, "must be a JSON object of at most %d bytes", maxSources)
		return
	}
	if key := findCredential(object); key != "" {
		f.when(true, field, "must not hold credentials, and has the key %q", key)
	}
}

func findCredential(value any) string {
	switch v := value.(type) {
	case map[string]any:
		for key, inner := range v {
			if credentialKey.MatchString(key) {
				return key
			}
			if found := findCredential(inner); found != "" {
				return found
			}
		}
	case []any:
		for _, inner := range v {
			if found := findCredential(inner); found != "" {
				return found
			}
		}
	}
	return ""
}
