package note

import (
	"crypto/rand"
	"encoding/base32"
	"regexp"
)

const referencePrefix = "AIA-"

// crockford leaves out I, L, O and U, so that a reference can be read out on the phone.
var crockford = base32.NewEncoding("0123456789ABCDEFGHJKMNPQRSTVWXYZ").WithPadding(base32.NoPadding)

var referencePattern = regexp.MustCompile(`(?i)AIA-[0-9A-Z]{6,}`)

// footerPattern is how every note ends, in every language; see writer.footer.
var footerPattern = regexp.MustCompile(`[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2} UTC · [0-9]+ (?:ms|s|min|h) · Ref (AIA-[0-9A-HJKMNP-TV-Z]{12})\s*$`)

// ReferenceOf returns the reference of a note that Render made, and false for any other text: one that only quotes a reference
// does not end like a note.
func ReferenceOf(html string) (string, bool) {
	found := footerPattern.FindStringSubmatch(TextOf(html, 0))
	if found == nil {
		return "", false
	}
	return found[1], true
}

// NewReference returns a reference for one enhancement: 60 random bits, unguessable and unique in practice.
func NewReference() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails; the runtime ends the process instead
	return referencePrefix + crockford.EncodeToString(b[:])[:12]
}
