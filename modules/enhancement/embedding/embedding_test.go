package embedding

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"aiagents/internal/fault"
	"aiagents/internal/secret"
	"aiagents/internal/simulator/openai"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func client(t *testing.T, handler http.Handler, change func(*Config)) *Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	web := server.Client()
	web.Timeout = time.Minute
	t.Cleanup(web.CloseIdleConnections)
	cfg := Config{
		BaseURL: server.URL + "/v1", APIKey: secret.New("sk-test"), Model: "text-embedding-3-small", Dimensions: 256, SendDimensions: true, Client: web,
	}
	if change != nil {
		change(&cfg)
	}
	return New(cfg)
}

func simulator() http.Handler { return openai.New(openai.Options{}).Handler() }

func TestEmbedGivesOneVectorATextInOrder(t *testing.T) {
	t.Parallel()
	vectors, tokens, err := client(t, simulator(), nil).Embed(t.Context(), []string{"VPN is down", "", "printer"})
	require.NoError(t, err)
	require.Len(t, vectors, 3)
	require.Equal(t, openai.Embed("VPN is down", 256), vectors[0])
	require.Equal(t, openai.Embed("printer", 256), vectors[2])
	require.Positive(t, tokens)
}

func TestALongTextIsCutToWhatTheModelTakes(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ü", 40_000)
	_, _, err := client(t, simulator(), nil).Embed(t.Context(), []string{long})
	require.NoError(t, err)
	require.LessOrEqual(t, len(sendable(long)), MaxBytes)
	require.True(t, strings.HasSuffix(sendable(long), "ü"), "cut at a rune")
}

func TestAModelWithoutDimensionsIsNotSentAny(t *testing.T) {
	t.Parallel()
	c := client(t, simulator(), func(c *Config) { c.Model, c.Dimensions, c.SendDimensions = "text-embedding-ada-002", 1536, false })
	vectors, _, err := c.Embed(t.Context(), []string{"x"})
	require.NoError(t, err)
	require.Len(t, vectors[0], 1536)
	c = client(t, simulator(), func(c *Config) { c.Model = "text-embedding-ada-002" })
	_, _, err = c.Embed(t.Context(), []string{"x"})
	require.True(t, fault.Is(err, fault.Invalid), "sent, it is refused")
}

func TestFaultsTellWhetherAskingAgainHelps(t *testing.T) {
	t.Parallel()
	answer := func(status int, body string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		})
	}
	for name, tt := range map[string]struct {
		handler http.Handler
		kind    fault.Kind
	}{
		"busy":           {answer(429, `{"error":{"message":"slow down"}}`), fault.Unavailable},
		"broken":         {answer(500, `{}`), fault.Unavailable},
		"bad key":        {answer(401, `{"error":{"message":"the text was: hunter2"}}`), fault.Invalid},
		"redirect":       {answer(302, ``), fault.Unavailable},
		"too few":        {answer(200, `{"object":"list","data":[]}`), fault.Invalid},
		"wrong length":   {answer(200, `{"object":"list","data":[{"object":"embedding","index":0,"embedding":[1,2]}]}`), fault.Invalid},
		"index too high": {answer(200, `{"object":"list","data":[{"object":"embedding","index":7,"embedding":[1]}]}`), fault.Invalid},
	} {
		_, _, err := client(t, tt.handler, func(c *Config) {
			c.Client.CheckRedirect = HTTPClient(time.Second).CheckRedirect
		}).Embed(t.Context(), []string{"VPN"})
		require.Error(t, err, name)
		require.True(t, fault.Is(err, tt.kind), "%s: %v", name, err)
		require.NotContains(t, err.Error(), "hunter2", "the server's words may quote the text")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err := client(t, simulator(), nil).Embed(ctx, []string{"VPN"})
	require.True(t, fault.Is(err, fault.Unavailable))
	_, _, err = client(t, simulator(), nil).Embed(t.Context(), make([]string, MaxTexts+1))
	require.True(t, fault.Is(err, fault.Invalid))
}
