package tenant

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"aiagents/internal/keyring"
)

// KeyRotation counts what RotateKeys did.
type KeyRotation struct {
	Total     int `json:"total"`
	Rewrapped int `json:"rewrapped"`
	// Current had the first key already.
	Current int `json:"current"`
	Failed  int `json:"failed"`
}

// RotateKeys wraps every tenant's data key with the first key of the keyring, one short transaction a tenant, while
// everything else goes on. Every running process must have that key in its keyring before. Running it again goes on where it stopped. progress, where given, is called after each tenant.
// One tenant's fault does not keep it from the others; the answer counts them and the error names each. A key may leave the
// keyring when a run had no failure.
func (m *Module) RotateKeys(ctx context.Context, actor string, progress func(done, total int)) (KeyRotation, error) {
	ids, err := m.IDs(ctx)
	if err != nil {
		return KeyRotation{}, err
	}
	result := KeyRotation{Total: len(ids)}
	var errs []error
	for i, id := range ids {
		rewrapped, err := m.rotateKey(ctx, actor, id)
		switch {
		case ctx.Err() != nil:
			return result, fmt.Errorf("rotate keys: %w", ctx.Err())
		case err != nil:
			result.Failed++
			errs = append(errs, fmt.Errorf("tenant %s: %w", id, err))
		case rewrapped:
			result.Rewrapped++
		default:
			result.Current++
		}
		if progress != nil {
			progress(i+1, len(ids))
		}
	}
	return result, errors.Join(errs...)
}

func (m *Module) rotateKey(ctx context.Context, actor, id string) (rewrapped bool, err error) {
	err = m.write(ctx, actor, id, "keys.rotate", func(ctx context.Context, tx pgx.Tx) (any, error) {
		r, found, err := readRecord(ctx, tx, id, true)
		if err != nil || !found { // deleted since
			return nil, err
		}
		from, err := keyring.WrappedBy(r.DataKey)
		if err != nil || from == m.keys.Primary() {
			return nil, err
		}
		key, err := m.keys.Unwrap(r.DataKey, configContext(id, fieldDataKey))
		if err != nil {
			return nil, err
		}
		wrapped, err := m.keys.Wrap(key, configContext(id, fieldDataKey))
		if err != nil {
			return nil, err
		}
		rewrapped = true
		return map[string]string{"from": from, "to": m.keys.Primary()}, updateDataKey(ctx, tx, id, wrapped)
	})
	return rewrapped && err == nil, err
}
