package tenant_test

import (
	"context"
	"crypto/subtle"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"aiagents/db"
	"aiagents/db/dbtest"
	"aiagents/internal/fault"
	"aiagents/internal/secret"
	"aiagents/modules/tenant"
)

// authenticate looks up and verifies in the two steps that Cached describes.
func authenticate(ctx context.Context, m *tenant.Module, id string, presented secret.Secret) (ok bool, err error) {
	verify := func(t tenant.Tenant) bool {
		match := 0
		for _, s := range t.WebhookSecrets(time.Now()) {
			match |= subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(presented.Reveal()))
		}
		return match == 1 && t.ID == id && !t.Disabled()
	}
	candidate, cached := m.Cached(id)
	if !cached {
		candidate = m.Decoy()
	}
	if verify(candidate) {
		return true, nil
	}
	candidate, err = m.Fresh(ctx, id)
	if fault.Is(err, fault.NotFound) {
		candidate, err = m.Decoy(), nil
	}
	return verify(candidate), err
}

func TestCachedNeverAsksTheDatabase(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	opened, err := db.Open(t.Context(), d.AppURL, db.DefaultConfig())
	require.NoError(t, err)
	m := newModule(t, opened, options{})
	created := create(t, m, "acme")
	_, ok := m.Cached("acme")
	require.False(t, ok, "nobody has read it yet")
	_, err = m.Fresh(t.Context(), "acme")
	require.NoError(t, err)
	opened.Close()

	got, ok := m.Cached("acme")
	require.True(t, ok)
	require.True(t, got.WebhookSecret.Equal(created.WebhookSecret))
	_, err = m.Get(t.Context(), "acme")
	require.NoError(t, err, "a cached tenant is served in an outage")
	_, ok = m.Cached("unknown")
	require.False(t, ok)
	_, err = m.Get(t.Context(), "unknown")
	require.True(t, fault.Is(err, fault.Unavailable), "an outage is not an unknown tenant: %v", err)
}

func TestTheDecoyLooksLikeATenantAndIsNone(t *testing.T) {
	t.Parallel()
	m := newModule(t, dbtest.New(t).DB, options{})
	decoy, created := m.Decoy(), create(t, m, "acme")
	require.Len(t, decoy.WebhookSecret.Reveal(), len(created.WebhookSecret.Reveal()))
	require.Equal(t, created.WebhookAuth, decoy.WebhookAuth)
	require.False(t, decoy.WebhookSecret.Equal(newModule(t, dbtest.New(t).DB, options{}).Decoy().WebhookSecret), "it is random")
	_, err := m.Fresh(t.Context(), decoy.ID)
	require.True(t, fault.Is(err, fault.NotFound))
	in := input(decoy.ID)
	_, err = m.Create(t.Context(), actor, in)
	require.Contains(t, details(t, err), "id", "no tenant can take its id")
}

func TestASecretRotatedElsewhereIsFoundBeforeAnyNotification(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	cli, server := newModule(t, d.DB, options{}), newModule(t, d.DB, options{})
	old := create(t, cli, "acme").WebhookSecret
	_, err := server.Get(t.Context(), "acme")
	require.NoError(t, err)
	rotated, err := cli.RotateWebhookSecret(t.Context(), actor, "acme", tenant.RotateInput{})
	require.NoError(t, err)

	ok, err := authenticate(t.Context(), server, "acme", rotated.WebhookSecret)
	require.NoError(t, err)
	require.True(t, ok)
	ok, err = authenticate(t.Context(), server, "acme", old)
	require.NoError(t, err)
	require.False(t, ok, "it was given no grace")
}

// BenchmarkRefusal measures refusals for each reason, in random order, and reports their medians and Welch's t against a
// known tenant. Beyond 4.5 in either direction a stranger could tell them apart: run it with -benchtime 30000x.
func BenchmarkRefusal(b *testing.B) {
	d := dbtest.New(b)
	m := newModule(b, d.DB, options{})
	create(b, m, "known")
	create(b, m, "disabled")
	_, err := m.Disable(b.Context(), actor, "disabled")
	require.NoError(b, err)
	kinds := []string{"known", "disabled", "unknown"}
	took := map[string][]float64{}
	for b.Loop() {
		kind := kinds[rand.IntN(len(kinds))]
		start := time.Now()
		ok, err := authenticate(b.Context(), m, kind, secret.New("a wrong secret"))
		took[kind] = append(took[kind], float64(time.Since(start).Nanoseconds())/1e3)
		require.NoError(b, err)
		require.False(b, ok)
	}
	mean, variance, median := moments(took["known"])
	b.ReportMetric(median, "known-µs")
	for _, kind := range kinds[1:] {
		otherMean, otherVariance, otherMedian := moments(took[kind])
		b.ReportMetric(otherMedian, kind+"-µs")
		b.ReportMetric((otherMean-mean)/math.Sqrt(variance+otherVariance), kind+"-t")
	}
}

// moments returns mean, squared standard error and median of the lower 95 %, without the pauses of the machine.
func moments(x []float64) (mean, variance, median float64) {
	if len(x) < 3 {
		return 0, 0, 0
	}
	slices.Sort(x)
	x = x[:max(2, len(x)*95/100)]
	for _, v := range x {
		mean += v / float64(len(x))
	}
	for _, v := range x {
		variance += (v - mean) * (v - mean) / float64(len(x)-1) / float64(len(x))
	}
	return mean, variance, x[len(x)/2]
}
