package keyring

import (
	"crypto/cipher"
	"crypto/rand"
	"fmt"
	"io"

	"aiagents/internal/fault"
)

// DataKey seals the fields of one tenant. It is safe for concurrent use, and prints no key material.
type DataKey struct {
	raw  [KeySize]byte
	aead cipher.AEAD
}

// NewDataKey makes a random data key.
func NewDataKey() (*DataKey, error) {
	raw := make([]byte, KeySize)
	if _, err := rand.Read(raw); err != nil {
		return nil, fault.Wrap(fault.Internal, err, "no random numbers for a data key")
	}
	return newDataKey(raw)
}

func newDataKey(raw []byte) (*DataKey, error) {
	if len(raw) != KeySize {
		return nil, fault.New(fault.Internal, "the data key has the wrong size")
	}
	aead, err := newAEAD(raw)
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "the data key cannot be used")
	}
	return &DataKey{raw: [KeySize]byte(raw), aead: aead}, nil
}

// Seal encrypts plain, bound to context. The same context is needed to open it.
func (d *DataKey) Seal(plain []byte, context string) []byte {
	return d.aead.Seal([]byte{version}, nil, plain, bind([]byte{version}, context))
}

// Open decrypts what Seal made under the same context.
func (d *DataKey) Open(blob []byte, context string) ([]byte, error) {
	if len(blob) == 0 || blob[0] != version {
		return nil, fault.New(fault.Internal, "the sealed value is damaged")
	}
	plain, err := d.aead.Open(nil, nil, blob[1:], bind(blob[:1], context))
	if err != nil {
		return nil, fault.New(fault.Internal, "the sealed value does not open: it was changed, or belongs to another tenant, field or row")
	}
	return plain, nil
}

// Format prints no key material, whatever the verb.
func (d *DataKey) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "data key") }
