package tenant

import (
	"context"

	"aiagents/internal/fault"
)

// Canary is the id of the synthetic tenant whose webhooks the program sends to itself. It is reserved: nobody can create it,
// and List leaves it out, so that it is in no customer's numbers.
const Canary = "aiagents-canary"

// EnsureCanary returns the synthetic tenant, and makes it the first time. Its desk does not exist: whoever posts its notes
// must know that.
func (m *Module) EnsureCanary(ctx context.Context) (Tenant, error) {
	t, err := m.Get(ctx, Canary)
	if !fault.Is(err, fault.NotFound) {
		return t, err
	}
	t, err = m.create(ctx, "system", CreateInput{
		ID: Canary, Name: "Canary", Edition: Generic, ServiceDeskURL: "https://canary.invalid", WebhookAuth: []string{AuthHMAC},
	})
	if fault.Is(err, fault.Conflict) { // another process was faster
		return m.Fresh(ctx, Canary)
	}
	return t, err
}
