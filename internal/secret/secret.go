package secret

import (
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"
)

const (
	shownSet    = "[set]"
	shownNotSet = "[not set]"
)

// Secret is a text that prints as "[set]" or "[not set]". The zero value is not set. Two secrets are compared with Equal:
// == compares where the texts are kept.
type Secret struct {
	text *string
}

// New returns a Secret; an empty text gives one that is not set.
func New(text string) Secret {
	if text == "" {
		return Secret{}
	}
	return Secret{text: &text}
}

// IsSet reports whether there is a text.
func (s Secret) IsSet() bool { return s.text != nil }

// Reveal returns the text itself.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// Equal compares the texts in a time that depends on their lengths only.
func (s Secret) Equal(other Secret) bool {
	return subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(other.Reveal())) == 1
}

// String says whether the secret is set.
func (s Secret) String() string {
	if s.IsSet() {
		return shownSet
	}
	return shownNotSet
}

// GoString says whether the secret is set.
func (s Secret) GoString() string { return s.String() }

// Format answers every verb alike. Without it, a verb that does not fit, such as %d, would fall back to printing fields.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue says whether the secret is set.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText serves JSON and YAML. What it writes cannot be read back: a secret is stored sealed or not at all.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText takes a text from JSON, YAML or the environment. It refuses the masked forms, so that a configuration
// that was shown and saved again cannot replace a secret by its mask.
func (s *Secret) UnmarshalText(text []byte) error {
	switch string(text) {
	case shownSet, shownNotSet:
		return fmt.Errorf("%s is the masked form of a secret, not a secret", text)
	}
	*s = New(string(text))
	return nil
}
