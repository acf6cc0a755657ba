package servicedesk_test

import (
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"aiagents/internal/simulator/servicedesk"
)

func startCloud(t *testing.T, now *clock) *client {
	t.Helper()
	return start(t, servicedesk.Options{
		Edition: servicedesk.Cloud, Portal: "itdesk", Clock: now.Now,
		OAuth: servicedesk.OAuth{ClientID: "client", ClientSecret: "secret", RefreshToken: "refresh"},
	})
}

func (c *client) grant(change map[string]string) got {
	v := url.Values{"grant_type": {"refresh_token"}, "client_id": {"client"}, "client_secret": {"secret"}, "refresh_token": {"refresh"}}
	for k, s := range change {
		v.Set(k, s)
	}
	return c.do("POST", "/oauth/v2/token", formType, v.Encode())
}

func (c *client) useToken() {
	token, _ := c.grant(nil).json["access_token"].(string)
	require.NotEmpty(c.t, token)
	c.header.Set("Authorization", "Zoho-oauthtoken "+token)
}

func TestCloudNote(t *testing.T) {
	t.Parallel()
	c := startCloud(t, newClock())
	id := c.ticket(servicedesk.Ticket{})
	require.Len(t, id, 18)
	require.Equal(t, 401, c.get("/requests/"+id).status, "a technician key does not open Cloud")
	c.useToken()
	r := c.get("/requests/" + id).json["request"].(map[string]any)
	require.Equal(t, "1", r["display_id"])
	require.Contains(t, r["requester"], "is_vip_user")
	require.Equal(t, 400, c.note(id, "x").status, "Cloud wants request_note")
	g := c.send("POST", "/requests/"+id+"/notes", `{"request_note":{"description":"x","show_to_requester":false}}`)
	require.Equal(t, 200, g.status, g.text)
	require.Contains(t, g.json, "request_note")
	g = c.do("POST", c.prefix+"/requests/"+id+"/notes?"+form(`{"request_note":{"description":"y"}}`), "", "")
	require.Equal(t, 200, g.status, "input_data in the query works on Cloud")
	require.Len(t, c.get("/requests/"+id+"/notes").rows(t, "notes"), 2)
}

func TestCloudTokensAndScheme(t *testing.T) {
	t.Parallel()
	now := newClock()
	c := startCloud(t, now)
	id := c.ticket(servicedesk.Ticket{})
	c.useToken()
	valid := c.header.Get("Authorization")
	c.header.Set("Authorization", "Bearer "+valid[len("Zoho-oauthtoken "):])
	require.Equal(t, 401, c.get("/requests/"+id).status)
	c.header.Set("Authorization", valid)
	now.Add(time.Hour - time.Second)
	require.Equal(t, 200, c.get("/requests/"+id).status)
	now.Add(time.Second)
	g := c.get("/requests/" + id)
	require.Equal(t, 401, g.status)
	code, _, _ := g.message(t)
	require.InDelta(t, 4022, code, 0)
	c.useToken()
	require.Equal(t, 200, c.get("/requests/"+id).status)
	c.desk.RevokeTokens()
	require.Equal(t, 401, c.get("/requests/"+id).status)
}

func TestCloudWrongPlaceIsHTML(t *testing.T) {
	t.Parallel()
	c := startCloud(t, newClock())
	c.useToken()
	g := c.do("GET", "/app/other/api/v3/requests", "", "")
	require.Equal(t, 401, g.status)
	require.Nil(t, g.json, "HTML, so that it is not taken for an expired token")
	g = c.do("GET", "/api/v3/requests", "", "")
	require.Equal(t, 400, g.status)
	require.Contains(t, g.header.Get("Content-Type"), "text/html")
}

func TestTokenRefusalsComeWithStatus200(t *testing.T) {
	t.Parallel()
	c := startCloud(t, newClock())
	for field, want := range map[string]string{
		"grant_type": "unsupported_grant_type", "client_id": "invalid_client",
		"client_secret": "invalid_client_secret", "refresh_token": "invalid_code",
	} {
		g := c.grant(map[string]string{field: "wrong"})
		require.Equal(t, 200, g.status)
		require.Equal(t, want, g.json["error"])
		require.NotContains(t, g.json, "access_token")
	}
}

func TestTenTokensPerTenMinutes(t *testing.T) {
	t.Parallel()
	now := newClock()
	c := startCloud(t, now)
	for range 10 {
		g := c.grant(nil)
		require.NotEmpty(t, g.json["access_token"])
		require.InDelta(t, 3600, g.json["expires_in"], 0)
	}
	g := c.grant(nil)
	require.Equal(t, 400, g.status)
	require.Equal(t, "Access Denied", g.json["error"])
	now.Add(10 * time.Minute)
	require.NotEmpty(t, c.grant(nil).json["access_token"])
}

func TestOldestOfThirtyTokensGoes(t *testing.T) {
	t.Parallel()
	now := newClock()
	c := startCloud(t, now)
	id := c.ticket(servicedesk.Ticket{})
	c.useToken()
	for i := range 30 {
		require.Equal(t, 200, c.get("/requests/"+id).status, "after %d more tokens", i)
		now.Add(61 * time.Second)
		require.NotEmpty(t, c.grant(nil).json["access_token"])
	}
	require.Equal(t, 401, c.get("/requests/"+id).status)
}
