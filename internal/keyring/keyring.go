package keyring

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"aiagents/internal/fault"
)

// KeySize is the length of every key in bytes: AES-256.
const KeySize = 32

// version is the first byte of every blob, so that a later format can be told from this one.
const version = 1

const howToMake = "make a key with: openssl rand -base64 32"

var keyID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// Keyring holds the operator's keys. The first wraps, all unwrap. It is safe for concurrent use.
type Keyring struct {
	primary string
	ids     []string
	keys    map[string]cipher.AEAD
}

// Parse reads "id:base64,id:base64". It names every faulty entry at once, and never repeats key material.
func Parse(text string) (*Keyring, error) {
	k := &Keyring{keys: map[string]cipher.AEAD{}}
	if strings.TrimSpace(text) == "" {
		return nil, fault.New(fault.Invalid, "no encryption key is set: expected id:base64, "+howToMake)
	}
	var faults []string
	for i, entry := range strings.Split(text, ",") {
		if err := k.add(strings.TrimSpace(entry)); err != nil {
			faults = append(faults, fmt.Sprintf("entry %d %s", i+1, err))
		}
	}
	if len(faults) > 0 {
		return nil, fault.Newf(fault.Invalid, "the encryption keys cannot be used: %s; %s", strings.Join(faults, "; "), howToMake)
	}
	k.primary = k.ids[0]
	return k, nil
}

func (k *Keyring) add(entry string) error {
	id, encoded, found := strings.Cut(entry, ":")
	if !found {
		return errors.New("has no id: expected id:base64")
	}
	if !keyID.MatchString(id) {
		return errors.New("has an id that is not 1 to 64 letters, digits, '.', '_' or '-'")
	}
	if _, dup := k.keys[id]; dup {
		return fmt.Errorf("(%s) repeats an id", id)
	}
	key, err := decodeBase64(encoded)
	if err != nil {
		return fmt.Errorf("(%s) is not base64", id)
	}
	if len(key) != KeySize {
		return fmt.Errorf("(%s) has %d bytes instead of %d", id, len(key), KeySize)
	}
	aead, err := newAEAD(key)
	if err != nil {
		return fmt.Errorf("(%s) cannot be used: %w", id, err)
	}
	k.keys[id] = aead
	k.ids = append(k.ids, id)
	return nil
}

// decodeBase64 takes both alphabets, with or without padding: keys come from many tools.
func decodeBase64(text string) ([]byte, error) {
	text = strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(text, "="))
	return base64.RawStdEncoding.Strict().DecodeString(text)
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// Primary is the id of the key that wraps.
func (k *Keyring) Primary() string { return k.primary }

// IDs lists the ids of all keys, the first one first.
func (k *Keyring) IDs() []string { return append([]string(nil), k.ids...) }

// String names the keys by id.
func (k *Keyring) String() string { return "keyring(" + strings.Join(k.ids, ",") + ")" }

// Wrap seals a data key with the first key of the ring, bound to context.
func (k *Keyring) Wrap(key *DataKey, context string) ([]byte, error) {
	if key == nil {
		return nil, fault.New(fault.Internal, "there is no data key to wrap")
	}
	header := append([]byte{version, byte(len(k.primary))}, k.primary...)
	return k.keys[k.primary].Seal(header, nil, key.raw[:], bind(header, context)), nil
}

// Unwrap opens a data key that Wrap sealed with any key of the ring under the same context.
func (k *Keyring) Unwrap(blob []byte, context string) (*DataKey, error) {
	id, err := WrappedBy(blob)
	if err != nil {
		return nil, err
	}
	aead, ok := k.keys[id]
	if !ok {
		return nil, fault.Newf(fault.Internal, "the data key was wrapped with the encryption key %q, which is not in the keyring (it has: %s)",
			id, strings.Join(k.ids, ", "))
	}
	header := blob[:2+len(id)]
	raw, err := aead.Open(nil, nil, blob[len(header):], bind(header, context))
	if err != nil {
		return nil, fault.Newf(fault.Internal, "the data key does not open with the encryption key %q: the key or the data was changed", id)
	}
	return newDataKey(raw)
}

// WrappedBy reads which key wrapped a data key, without opening it.
func WrappedBy(blob []byte) (string, error) {
	if len(blob) < 2 || blob[0] != version || len(blob) < 2+int(blob[1]) {
		return "", fault.New(fault.Internal, "the wrapped data key is damaged")
	}
	return string(blob[2 : 2+int(blob[1])]), nil
}

// bind authenticates the header together with the context. The header tells its own length, so the two cannot run together.
func bind(header []byte, context string) []byte {
	return append(append([]byte(nil), header...), context...)
}
