package api

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"io"
	"math"
	"net/http"
	"time"

	"github.com/selvage-dev/selvage/internal/accounts"
	"github.com/selvage-dev/selvage/internal/ai"
	"github.com/selvage-dev/selvage/internal/ai/chat"
	"github.com/selvage-dev/selvage/internal/ai/wire"
)

// openAIPath is the base URL that OpenAI's clients are given.
const openAIPath = aiPath + "/v1"

func openAIRoutes() []route {
	const read, write = accounts.ScopeAIRead, accounts.ScopeAIWrite
	table := []route{
		{Method: http.MethodGet, Pattern: openAIPath + "/models", Scope: read, Handler: openAIModels},
		{Method: http.MethodPost, Pattern: openAIPath + "/chat/completions", Scope: write, MaxBody: ai.MaxInput, Handler: chatCompletions},
		{Method: http.MethodPost, Pattern: openAIPath + "/embeddings", Scope: write, MaxBody: ai.MaxInput, Handler: embeddings},
	}
	for i := range table {
		table[i].OpenAI = true
	}
	return table
}

// asIs writes a body that has no envelope.
func asIs(body []byte) stream {
	return func(w http.ResponseWriter) error {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusOK)
		_, err := w.Write(body)
		return err
	}
}

// writeOpenAIFault writes an error in the form of OpenAI's API.
func writeOpenAIFault(w http.ResponseWriter, f fault) error {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(f.Status)
	_, err := w.Write(wire.OpenAIError(f.Code, f.Status, f.Message))
	return err
}

func openAIModels(c *call) (any, error) {
	body, err := wire.OpenAIModels(c.AI.Models(ai.Filter{}))
	return asIs(body), err
}

func chatCompletions(c *call) (any, error) {
	body, err := io.ReadAll(c.r.Body)
	if err != nil {
		return nil, err
	}
	var in struct {
		Model         string             `json:"model"`
		N             *int               `json:"n"`
		LogProbs      bool               `json:"logprobs"`
		TopLogProbs   *int               `json:"top_logprobs"`
		LogitBias     map[string]float64 `json:"logit_bias"`
		StreamOptions struct {
			IncludeUsage bool `json:"include_usage"`
		} `json:"stream_options"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, &apiError{Code: codeBadRequest, Message: "the body of the request is not the JSON that this endpoint takes: " + jsonProblem(err), Err: err}
	}
	if in.N != nil && *in.N != 1 {
		return nil, errf(codeBadRequest, "n is %d; one answer a request is offered", *in.N)
	}
	if in.LogProbs || in.TopLogProbs != nil || len(in.LogitBias) > 0 {
		return nil, errf(codeBadRequest, "logprobs, top_logprobs and logit_bias are not offered; leave them out")
	}
	r, streamed, err := chat.Parse(body)
	if err != nil {
		return nil, errf(codeBadRequest, "%s", err.Error())
	}
	answer, err := c.AI.Chat(c.ctx(), c.aiCaller(), in.Model, r, streamed)
	if err != nil {
		return nil, c.aiFailed(err)
	}
	if answer.Stream != nil {
		return c.aiStream(answer.Stream, &wire.OpenAIStream{Answer: answer, At: time.Now(), WithUsage: in.StreamOptions.IncludeUsage}), nil
	}
	out, err := wire.OpenAI(answer, time.Now())
	return asIs(out), err
}

// maxEmbeddings bounds the texts of one request.
const maxEmbeddings = 2048

func embeddings(c *call) (any, error) {
	var in struct {
		Model    string          `json:"model"`
		Input    json.RawMessage `json:"input"`
		Encoding string          `json:"encoding_format"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	var texts []string
	var one string
	switch {
	case json.Unmarshal(in.Input, &one) == nil:
		texts = []string{one}
	case json.Unmarshal(in.Input, &texts) != nil:
		return nil, errf(codeBadRequest, "input is neither a text nor a list of texts; tokens are not taken")
	}
	if len(texts) == 0 || len(texts) > maxEmbeddings {
		return nil, errf(codeBadRequest, "input has %d texts; from 1 to %d are taken", len(texts), maxEmbeddings)
	}
	for i, text := range texts {
		if text == "" {
			return nil, errf(codeBadRequest, "input %d is empty", i)
		}
	}
	if in.Encoding != "" && in.Encoding != "float" && in.Encoding != "base64" {
		return nil, errf(codeBadRequest, "encoding_format is %.20q; there are float and base64", in.Encoding)
	}
	e, err := c.AI.Embed(c.ctx(), c.aiCaller(), in.Model, texts)
	if err != nil {
		return nil, c.aiFailed(err)
	}
	if in.Encoding == "base64" {
		return base64Embeddings(in.Model, e), nil
	}
	return asIs(wire.OpenAIEmbeddings(in.Model, e)), nil
}

// base64Embeddings writes vectors as little-endian numbers of 32 bits in base64, which
// OpenAI's own client asks for when it is not told otherwise.
func base64Embeddings(model string, e *ai.Embedded) stream {
	type item struct {
		Object    string `json:"object"`
		Index     int    `json:"index"`
		Embedding string `json:"embedding"`
	}
	items := make([]item, len(e.Vectors))
	for i, v := range e.Vectors {
		raw := make([]byte, 0, 4*len(v))
		for _, x := range v {
			raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(x))
		}
		items[i] = item{"embedding", i, base64.StdEncoding.EncodeToString(raw)}
	}
	body, err := json.Marshal(map[string]any{
		"object": "list", "model": model, "data": items, "usage": map[string]int{"prompt_tokens": e.Tokens, "total_tokens": e.Tokens},
	})
	if err != nil {
		return func(http.ResponseWriter) error { return err }
	}
	return asIs(body)
}
