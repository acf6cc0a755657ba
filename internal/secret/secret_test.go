package secret_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"aiagents/internal/secret"
)

const canary = "canary-5f1e0c"

// holder has the secret in every place where a struct can hold one.
type holder struct {
	Public  secret.Secret            `json:"public" yaml:"public"`
	List    []secret.Secret          `json:"list" yaml:"list"`
	Map     map[string]secret.Secret `json:"map" yaml:"map"`
	Pointer *secret.Secret           `json:"pointer" yaml:"pointer"`
	private secret.Secret
}

func newHolder() holder {
	s := secret.New(canary)
	return holder{Public: s, List: []secret.Secret{s}, Map: map[string]secret.Secret{"k": s}, Pointer: &s, private: s}
}

func TestNoVerbOfFmtPrintsTheText(t *testing.T) {
	t.Parallel()
	h := newHolder()
	require.Equal(t, canary, h.private.Reveal(), "the canary must be there to be hidden")
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T %v", "%t"} {
		for _, value := range []any{h, &h, h.Public, &h.Public, h.List, h.Map, []any{h}} {
			out := fmt.Sprintf(verb, value, value)
			require.NotContains(t, out, canary, verb)
			require.NotContains(t, out, fmt.Sprintf("%x", canary), verb)
		}
	}
	require.Equal(t, "[set] [not set]", fmt.Sprintf("%s %s", h.Public, secret.Secret{}))
}

func TestNoEncoderWritesTheText(t *testing.T) {
	t.Parallel()
	h := newHolder()
	asJSON, err := json.Marshal(h)
	require.NoError(t, err)
	asYAML, err := yaml.Marshal(h)
	require.NoError(t, err)
	var logs bytes.Buffer
	slog.New(slog.NewJSONHandler(&logs, nil)).Info("m", "holder", h, "secret", h.Public)
	slog.New(slog.NewTextHandler(&logs, nil)).Info("m", "holder", h, "secret", h.Public)

	for _, out := range []string{string(asJSON), string(asYAML), logs.String()} {
		require.NotContains(t, out, canary)
		require.Contains(t, out, "[set]")
	}
}

func TestReadsFromYAMLAndJSON(t *testing.T) {
	t.Parallel()
	var fromYAML, fromJSON holder
	require.NoError(t, yaml.Unmarshal([]byte("public: "+canary), &fromYAML))
	require.NoError(t, json.Unmarshal([]byte(`{"public":"`+canary+`"}`), &fromJSON))
	require.Equal(t, canary, fromYAML.Public.Reveal())
	require.Equal(t, canary, fromJSON.Public.Reveal())

	require.Error(t, json.Unmarshal([]byte(`{"public":"[set]"}`), &fromJSON), "a mask is not a secret")
}

func TestEqualComparesTexts(t *testing.T) {
	t.Parallel()
	require.True(t, secret.New(canary).Equal(secret.New(canary)))
	require.True(t, secret.Secret{}.Equal(secret.New("")))
	require.False(t, secret.New(canary).Equal(secret.New(canary+"x")))
	require.False(t, secret.New(canary).Equal(secret.Secret{}))
}
