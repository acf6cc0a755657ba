package notifier

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"aiagents/internal/fault"
	"aiagents/internal/simulator/servicedesk"
)

func TestAllWorkersShareOneAccessToken(t *testing.T) {
	t.Parallel()
	b := newBench(t, options(servicedesk.Cloud))
	modules := []*Module{b.module(), b.module(), b.module()}
	id := b.ticket()
	var workers sync.WaitGroup
	for i := range 30 {
		workers.Go(func() {
			_, err := modules[i%3].GetRequest(t.Context(), tenant, id)
			if err != nil {
				t.Error(err)
			}
		})
	}
	workers.Wait()
	require.Equal(t, 1, b.desk.Count(servicedesk.OAuthToken))

	b.exec(`UPDATE desk_connections SET access_token_expires_at = now() + interval '4 minutes' WHERE tenant_id = $1`, tenant)
	fresh := b.module()
	for range 3 {
		_, err := fresh.GetRequest(t.Context(), tenant, id)
		require.NoError(t, err)
	}
	require.Equal(t, 2, b.desk.Count(servicedesk.OAuthToken), "refreshed five minutes before it ends")
}

func TestTheTokenIsSealedForItsTenantAndClient(t *testing.T) {
	t.Parallel()
	b := newBench(t, options(servicedesk.Cloud))
	m := b.module()
	id := b.ticket()
	_, err := m.GetRequest(t.Context(), tenant, id)
	require.NoError(t, err)
	row, err := m.store.token(t.Context(), tenant)
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(string(row.Sealed), tenant+"|desk_access_token|"))
	require.Greater(t, row.left(), 50*time.Minute)

	b.exec(`UPDATE desk_connections SET access_token_encrypted = replace(convert_from(access_token_encrypted, 'UTF8'), 'acme', 'evil')::bytea WHERE tenant_id = $1`, tenant)
	_, err = b.module().GetRequest(t.Context(), tenant, id)
	require.NoError(t, err, "a token that cannot be opened is replaced")
	require.Equal(t, 2, b.desk.Count(servicedesk.OAuthToken))

	b.conns.change(tenant, func(c *Connection) { c.OAuth.ClientSecret = "not-the-secret" })
	_, err = m.GetRequest(t.Context(), tenant, id)
	require.Equal(t, fault.Unauthenticated, fault.KindOf(err), "new credentials do not live on the old ones' token")
}

func TestARevokedTokenIsReplacedOnceAndTheNoteIsWrittenOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t, options(servicedesk.Cloud))
	m := b.module()
	r := b.request(b.ticket())
	_, err := m.GetRequest(t.Context(), tenant, r.TicketID)
	require.NoError(t, err)
	b.exec(`UPDATE desk_connections SET access_token_issued_at = now() - interval '10 minutes' WHERE tenant_id = $1`, tenant)
	b.desk.RevokeTokens()
	_, err = m.Post(t.Context(), r)
	require.NoError(t, err)
	require.Len(t, b.desk.Notes(r.TicketID), 1)
	require.Equal(t, 2, b.desk.Count(servicedesk.OAuthToken))

	b.desk.AddFault(servicedesk.Fault{Kind: servicedesk.Unauthorized, Operation: servicedesk.RequestsGet})
	_, err = m.GetRequest(t.Context(), tenant, r.TicketID)
	require.Equal(t, fault.Unauthenticated, fault.KindOf(err))
	require.Equal(t, 2, b.desk.Count(servicedesk.OAuthToken), "a token just issued and refused is not replaced again")
}

func TestAWebPageWith401BurnsNoToken(t *testing.T) {
	t.Parallel()
	b := newBench(t, options(servicedesk.Cloud))
	m := b.module()
	_, err := m.GetRequest(t.Context(), tenant, b.ticket())
	require.NoError(t, err)
	b.exec(`UPDATE desk_connections SET access_token_issued_at = now() - interval '10 minutes' WHERE tenant_id = $1`, tenant)
	b.conns.change(tenant, func(c *Connection) { c.Portal = "wrongportal" })
	_, err = m.GetRequest(t.Context(), tenant, "1")
	require.Equal(t, fault.Unauthenticated, fault.KindOf(err))
	require.ErrorContains(t, err, "portal")
	require.Equal(t, 1, b.desk.Count(servicedesk.OAuthToken))
}

func TestARefusedRefreshTokenPausesTheConnection(t *testing.T) {
	t.Parallel()
	b := newBench(t, options(servicedesk.Cloud))
	b.config.ProbeInterval = time.Hour
	b.conns.change(tenant, func(c *Connection) { c.OAuth.RefreshToken = "revoked" })
	m := b.module()
	for range 5 {
		_, err := m.GetRequest(t.Context(), tenant, "1")
		require.Equal(t, fault.Unauthenticated, fault.KindOf(err))
		require.NotContains(t, err.Error(), "revoked")
	}
	require.Equal(t, 1, b.desk.Count(servicedesk.OAuthToken))
}

func TestTheTokenQuotaOfTheAccountsServerIsRespected(t *testing.T) {
	t.Parallel()
	b := newBench(t, options(servicedesk.Cloud))
	m := b.module()
	id := b.ticket()
	forget := `UPDATE desk_connections SET access_token_encrypted = NULL, access_token_lease_until = NULL WHERE tenant_id = $1`
	for range 10 {
		_, err := b.module().GetRequest(t.Context(), tenant, id)
		require.NoError(t, err)
		b.exec(forget, tenant)
	}
	for range 5 {
		_, err := m.GetRequest(t.Context(), tenant, id)
		require.Equal(t, fault.Limited, fault.KindOf(err))
		require.Positive(t, fault.RetryAfterOf(err))
	}
	require.Equal(t, 11, b.desk.Count(servicedesk.OAuthToken), "after one refusal nobody asks again for a while")
}

func TestAnAccountsServerThatIsAwayIsAskedSparingly(t *testing.T) {
	t.Parallel()
	asked := 0
	var mu sync.Mutex
	b := newBench(t, options(servicedesk.Cloud))
	accounts := serveHTTP(t, func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		asked++
		http.Error(w, "<html>away</html>", http.StatusBadGateway)
	})
	b.conns.change(tenant, func(c *Connection) { c.OAuth.AccountsURL = accounts })
	m := b.module()
	for range 5 {
		_, err := m.Post(t.Context(), b.request(b.ticket()))
		require.Equal(t, fault.Unavailable, fault.KindOf(err))
	}
	mu.Lock()
	defer mu.Unlock()
	require.Equal(t, 1, asked)
}

func TestALeaseOfADeadWorkerRunsOut(t *testing.T) {
	t.Parallel()
	b := newBench(t, options(servicedesk.Cloud))
	id := b.ticket()
	b.exec(`INSERT INTO desk_connections (tenant_id, access_token_lease_until) VALUES ($1, now() + interval '2 seconds')`, tenant)
	start := time.Now()
	_, err := b.module().GetRequest(t.Context(), tenant, id)
	require.NoError(t, err)
	require.Greater(t, time.Since(start), 500*time.Millisecond, "it waited for the holder")
	require.Equal(t, 1, b.desk.Count(servicedesk.OAuthToken))
}
