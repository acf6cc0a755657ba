package openai_test

import (
	"testing"
	"time"

	sdk "github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/shared"
	"github.com/stretchr/testify/require"

	"aiagents/internal/simulator/openai"
)

// The public client has to understand the stand-in, or the stand-in is no stand-in.
func TestPublicClient(t *testing.T) {
	t.Parallel()
	c := start(t, openai.Options{})
	client := sdk.NewClient(option.WithBaseURL(c.server.URL+"/v1"), option.WithAPIKey("sk-test"),
		option.WithHTTPClient(c.server.Client()), option.WithMaxRetries(0))
	params := sdk.ChatCompletionNewParams{
		Model:    "gpt-4o-mini",
		Messages: []sdk.ChatCompletionMessageParamUnion{sdk.SystemMessage("Help."), sdk.UserMessage(evidence)},
		ResponseFormat: sdk.ChatCompletionNewParamsResponseFormatUnion{OfJSONSchema: &shared.ResponseFormatJSONSchemaParam{
			JSONSchema: shared.ResponseFormatJSONSchemaJSONSchemaParam{Name: "note", Strict: sdk.Bool(true), Schema: noteSchema()},
		}},
	}
	out, err := client.Chat.Completions.New(t.Context(), params)
	require.NoError(t, err)
	require.Contains(t, out.Choices[0].Message.Content, "T-1041")
	require.Positive(t, out.Usage.PromptTokens)

	c.api.Script(openai.Behaviour{Kind: openai.Refusal}, openai.Behaviour{Kind: openai.OutOfQuota}, openai.Behaviour{Kind: openai.RateLimited, RetryAfter: 2 * time.Second})
	out, err = client.Chat.Completions.New(t.Context(), params)
	require.NoError(t, err)
	require.NotEmpty(t, out.Choices[0].Message.Refusal)
	for _, code := range []string{"insufficient_quota", "rate_limit_exceeded"} {
		_, err = client.Chat.Completions.New(t.Context(), params)
		var refused *sdk.Error
		require.ErrorAs(t, err, &refused)
		require.Equal(t, 429, refused.StatusCode)
		require.Equal(t, code, refused.Code)
	}
	vectors, err := client.Embeddings.New(t.Context(), sdk.EmbeddingNewParams{
		Model: "text-embedding-3-small", Input: sdk.EmbeddingNewParamsInputUnion{OfArrayOfStrings: []string{"a", "b"}},
	})
	require.NoError(t, err)
	require.Len(t, vectors.Data[1].Embedding, 1536)
	models, err := client.Models.List(t.Context())
	require.NoError(t, err)
	require.NotEmpty(t, models.Data)
}
