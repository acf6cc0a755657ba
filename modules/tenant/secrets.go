package tenant

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/jackc/pgx/v5"

	"aiagents/internal/fault"
	"aiagents/internal/secret"
)

var secretName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,99}$`)

// maxSecret bounds a stored secret, in bytes.
const maxSecret = 16 << 10

// SecretInfo tells that a secret exists, and nothing of it.
type SecretInfo struct {
	Name      string    `json:"name"`
	UpdatedAt time.Time `json:"updated_at"`
}

// SetSecret stores a secret of another system of the tenant, such as its monitoring, under the name by which preferences
// refer to it.
func (m *Module) SetSecret(ctx context.Context, actor, id, name string, value secret.Secret) error {
	if !secretName.MatchString(name) {
		return fault.New(fault.Invalid, "the name of a secret is 1 to 100 of a-z 0-9 . _ -")
	}
	if !value.IsSet() || len(value.Reveal()) > maxSecret {
		return fault.Newf(fault.Invalid, "a secret has 1 to %d bytes", maxSecret)
	}
	sealed, err := m.Seal(ctx, id, secretField(name), []byte(value.Reveal()))
	if err != nil {
		return err
	}
	return m.write(ctx, actor, id, "tenant.secret.set", func(ctx context.Context, tx pgx.Tx) (any, error) {
		_, err := tx.Exec(ctx, `
			INSERT INTO tenant_secrets (tenant_id, name, sealed) VALUES ($1, $2, $3)
			ON CONFLICT (tenant_id, name) DO UPDATE SET sealed = excluded.sealed, updated_at = now()`, id, name, sealed)
		if err != nil {
			return nil, fmt.Errorf("store secret: %w", err)
		}
		return map[string]string{"name": name}, nil
	})
}

// Secret returns a stored secret. NotFound when there is none of that name.
func (m *Module) Secret(ctx context.Context, id, name string) (secret.Secret, error) {
	var sealed []byte
	err := m.db.InTenantTx(ctx, id, func(ctx context.Context, tx pgx.Tx) error {
		return tx.QueryRow(ctx, `SELECT sealed FROM tenant_secrets WHERE tenant_id = $1 AND name = $2`, id, name).Scan(&sealed)
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return secret.Secret{}, fault.Newf(fault.NotFound,
			"the tenant has no secret %q: store it with `aiagents tenant secret set`", name)
	}
	if err != nil {
		return secret.Secret{}, fmt.Errorf("read secret: %w", err)
	}
	plain, err := m.Open(ctx, id, secretField(name), sealed)
	if err != nil {
		return secret.Secret{}, err
	}
	return secret.New(string(plain)), nil
}

// Secrets lists the names of a tenant's stored secrets.
func (m *Module) Secrets(ctx context.Context, id string) ([]SecretInfo, error) {
	if _, err := m.Get(ctx, id); err != nil {
		return nil, err
	}
	list := []SecretInfo{}
	err := m.db.InTenantTx(ctx, id, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT name, updated_at FROM tenant_secrets WHERE tenant_id = $1 ORDER BY name`, id)
		if err != nil {
			return fmt.Errorf("list secrets: %w", err)
		}
		list, err = pgx.CollectRows(rows, pgx.RowToStructByName[SecretInfo])
		return err
	})
	return list, err
}

// DeleteSecret forgets a stored secret.
func (m *Module) DeleteSecret(ctx context.Context, actor, id, name string) error {
	return m.write(ctx, actor, id, "tenant.secret.delete", func(ctx context.Context, tx pgx.Tx) (any, error) {
		tag, err := tx.Exec(ctx, `DELETE FROM tenant_secrets WHERE tenant_id = $1 AND name = $2`, id, name)
		if err != nil {
			return nil, fmt.Errorf("delete secret: %w", err)
		}
		if tag.RowsAffected() == 0 {
			return nil, fault.Newf(fault.NotFound, "the tenant has no secret %q", name)
		}
		return map[string]string{"name": name}, nil
	})
}

// secretField binds a ciphertext to its row.
func secretField(name string) string { return "tenant_secrets.sealed|" + name }
