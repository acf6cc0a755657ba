package openai

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"hash/fnv"
	"math"
	"net/http"
	"slices"
	"strings"
)

var embeddingArguments = []string{"input", "model", "dimensions", "encoding_format", "user"}

// embeddings hashes words into vectors: equal texts are equal, texts that share words
// are near, and there is nothing random.
func (s *Server) embeddings(c *call) *answer {
	var names map[string]json.RawMessage
	var in struct {
		Input      json.RawMessage `json:"input"`
		Model      string          `json:"model"`
		Dimensions *int            `json:"dimensions"`
		Format     string          `json:"encoding_format"`
	}
	if json.Unmarshal(c.body, &names) != nil || json.Unmarshal(c.body, &in) != nil {
		return s.invalid("", "", "We could not parse the JSON body of your request.")
	}
	for name := range names {
		if !slices.Contains(embeddingArguments, name) {
			return s.invalid("", "", "Unrecognized request argument supplied: %s", name)
		}
	}
	m, refused := s.model(in.Model)
	if refused != nil {
		return refused
	}
	if m.Embedding == 0 {
		return s.invalid("model", "", "This model does not produce embeddings.")
	}
	texts, ok := inputTexts(in.Input)
	if !ok {
		return s.invalid("input", "", "'$.input' is invalid: expected a string or an array of 1 to 2048 strings, none empty.")
	}
	if refused := s.tooLong(texts); refused != nil {
		return refused
	}
	size := m.Embedding
	if in.Dimensions != nil {
		if m.FixedLength {
			return s.invalid("dimensions", "", "This model does not support specifying dimensions.")
		}
		if size = *in.Dimensions; size < 1 || size > m.Embedding {
			return s.invalid("dimensions", "", "Invalid 'dimensions': expected 1 to %d.", m.Embedding)
		}
	}
	if in.Format != "" && in.Format != "float" && in.Format != "base64" {
		return s.invalid("encoding_format", "", "Invalid 'encoding_format': expected float or base64.")
	}
	s.note(c, func(r *Record) { r.Model, r.Prompt, r.Behaviour = m.ID, strings.Join(texts, "\n"), Good })
	return embeddingAnswer(m, texts, size, in.Format)
}

// The limits of OpenAI's embedding models: of one text, and of all texts of a request together.
const (
	maxTextTokens    = 8_192
	maxRequestTokens = 300_000
)

func (s *Server) tooLong(texts []string) *answer {
	all := 0
	for _, text := range texts {
		n := tokens(text)
		if n > maxTextTokens {
			return s.invalid("", "context_length_exceeded", "This model's maximum context length is %d tokens, however you requested %d tokens "+
				"(%d in your prompt; 0 for the completion). Please reduce your prompt; or completion length.", maxTextTokens, n, n)
		}
		all += n
	}
	if all > maxRequestTokens {
		return s.invalid("input", "max_tokens_per_request", "Invalid 'input': requested %d tokens, maximum %d tokens per request.", all, maxRequestTokens)
	}
	return nil
}

// embeddingAnswer numbers the vectors in the order of the texts.
func embeddingAnswer(m Model, texts []string, size int, format string) *answer {
	data, used := []any{}, 0
	for i, text := range texts {
		used += tokens(text)
		var vector any = Embed(text, size)
		if format == "base64" {
			vector = packed(vector.([]float32))
		}
		data = append(data, map[string]any{"object": "embedding", "index": i, "embedding": vector})
	}
	return jsonAnswer(http.StatusOK, map[string]any{
		"object": "list", "data": data, "model": m.ID,
		"usage": map[string]any{"prompt_tokens": used, "total_tokens": used},
	})
}

// inputTexts takes one text or many; token arrays are not played.
func inputTexts(raw json.RawMessage) ([]string, bool) {
	var one string
	if json.Unmarshal(raw, &one) == nil {
		return []string{one}, one != ""
	}
	var many []string
	if json.Unmarshal(raw, &many) != nil || len(many) == 0 || len(many) > 2048 {
		return nil, false
	}
	return many, !slices.Contains(many, "")
}

// Embed is the vector of a text: words hashed to places with a sign, length one.
func Embed(text string, size int) []float32 {
	sums := make([]float64, size)
	for _, word := range strings.Fields(strings.ToLower(text)) {
		h := fnv.New64a()
		_, _ = h.Write([]byte(strings.Trim(word, ".,;:!?()[]\"'")))
		sum := h.Sum64()
		sign := 1.0
		if sum>>63 == 1 {
			sign = -1
		}
		sums[sum%uint64(size)] += sign
	}
	norm := 0.0
	for _, v := range sums {
		norm += v * v
	}
	if norm == 0 {
		sums[0], norm = 1, 1
	}
	out := make([]float32, size)
	for i, v := range sums {
		out[i] = float32(v / math.Sqrt(norm))
	}
	return out
}

// packed is the little-endian form the SDKs ask for to save bytes.
func packed(v []float32) string {
	b := make([]byte, 0, 4*len(v))
	for _, f := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(f))
	}
	return base64.StdEncoding.EncodeToString(b)
}
