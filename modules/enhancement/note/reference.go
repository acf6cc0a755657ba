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

// NewReference returns a reference for one enhancement: 60 random bits, unguessable and unique in practice.
func NewReference() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails; the runtime ends the process instead
	return referencePrefix + crockford.EncodeToString(b[:])[:12]
}
