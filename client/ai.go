package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Codes of Workers AI that callers branch on.
const (
	CodeAINoModel = 5007
	CodeAILimited = 3036
	CodeAIBusy    = 3040
)

// AIModel is a model that the platform knows.
type AIModel struct {
	Name        string `json:"name"`
	Description string `json:"description"`
	Task        struct {
		Name string `json:"name"`
	} `json:"task"`
	Selvage struct {
		State string `json:"state"` // ready, upstream, missing or unsupported
		Hint  string `json:"hint,omitempty"`
	} `json:"selvage"`
}

// AIFile is one file of a model.
type AIFile struct {
	Path   string `json:"path"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// AIStoredModel is a model whose files are on the platform.
type AIStoredModel struct {
	Name     string    `json:"name"`
	Kind     string    `json:"kind"`
	State    string    `json:"state"`
	Hint     string    `json:"hint,omitempty"`
	Source   string    `json:"source"`
	Revision string    `json:"revision,omitempty"`
	License  string    `json:"license,omitempty"`
	Size     int64     `json:"size"`
	Files    []AIFile  `json:"files"`
	Created  time.Time `json:"created_on"`
}

// AIStore is what is on the platform, and what it may take in bytes.
type AIStore struct {
	Models []AIStoredModel `json:"models"`
	Used   int64           `json:"used"`
	Quota  int64           `json:"quota"`
}

// AIPull says which model to bring; empty fields are the catalogue's.
type AIPull struct {
	Name       string `json:"name"`
	Repository string `json:"repository,omitempty"`
	Revision   string `json:"revision,omitempty"`
	Kind       string `json:"kind,omitempty"`
}

// AIPlan is what a pull would bring.
type AIPlan struct {
	Repository string   `json:"repository"`
	Revision   string   `json:"revision"`
	Size       int64    `json:"size"`
	Files      []AIFile `json:"files"`
}

// AIModels lists all models by name.
func (c *Client) AIModels(ctx context.Context) ([]AIModel, error) {
	const page = 100
	var all []AIModel
	for n := 1; ; n++ {
		part, err := result[[]AIModel](ctx, c, http.MethodGet, c.path("ai", "models", "search"), url.Values{"page": {strconv.Itoa(n)}, "per_page": {strconv.Itoa(page)}}, nil)
		all = append(all, part...)
		if err != nil || len(part) < page {
			return all, err
		}
	}
}

func (c *Client) aiModelPath(segments ...string) string {
	return c.path(append([]string{"selvage", "ai", "models"}, segments...)...)
}

// AIStore lists the models whose files are on the platform.
func (c *Client) AIStore(ctx context.Context) (AIStore, error) {
	return result[AIStore](ctx, c, http.MethodGet, c.aiModelPath(), nil, nil)
}

// RemoveAIModel deletes the files of a model.
func (c *Client) RemoveAIModel(ctx context.Context, name string) error {
	_, err := result[json.RawMessage](ctx, c, http.MethodDelete, c.aiModelPath(), url.Values{"name": {name}}, nil)
	return err
}

// PlanAIPull says what a pull would bring. Nothing is downloaded.
func (c *Client) PlanAIPull(ctx context.Context, p AIPull) (AIPlan, error) {
	return result[AIPlan](ctx, c, http.MethodPost, c.aiModelPath("plan"), nil, p)
}

// PullAIModel has the platform download a model, and tells how far it is. When ctx ends
// the download stops; the next one goes on from there.
func (c *Client) PullAIModel(ctx context.Context, p AIPull, tell func(file string, done, total int64)) (AIStoredModel, error) {
	r := request{method: http.MethodPost, path: c.aiModelPath("pull")}
	if err := r.setJSON(p); err != nil {
		return AIStoredModel{}, err
	}
	resp, err := c.exchange(ctx, &r)
	if err != nil {
		return AIStoredModel{}, err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	lines := bufio.NewScanner(resp.Body)
	const longest = 1 << 20
	lines.Buffer(nil, longest)
	for lines.Scan() {
		var line struct {
			File  string         `json:"file"`
			Done  int64          `json:"done"`
			Total int64          `json:"total"`
			Model *AIStoredModel `json:"model"`
			Error *struct {
				Code    int    `json:"code"`
				Message string `json:"message"`
			} `json:"error"`
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return AIStoredModel{}, fmt.Errorf("the progress of the pull cannot be read: %w", err)
		}
		switch {
		case line.Model != nil:
			return *line.Model, nil
		case line.Error != nil:
			return AIStoredModel{}, &Error{Code: line.Error.Code, Message: line.Error.Message, Status: resp.StatusCode, Op: r.method + " " + r.path}
		case tell != nil:
			tell(line.File, line.Done, line.Total)
		}
	}
	return AIStoredModel{}, errors.Join(errors.New("the pull broke off; pull again, and it goes on from there"), lines.Err())
}

// ImportAIModel adds the model of a bundle. Name and kind, if not "", replace those in it.
// Open gives the bundle from its beginning.
func (c *Client) ImportAIModel(ctx context.Context, name, kind string, open func() (io.ReadCloser, error)) (AIStoredModel, error) {
	q := url.Values{}
	if name != "" {
		q.Set("name", name)
	}
	if kind != "" {
		q.Set("kind", kind)
	}
	r := request{method: http.MethodPost, path: c.aiModelPath("import"), query: q, contentType: "application/x-tar", length: -1, body: open}
	var m AIStoredModel
	return m, c.send(ctx, &r, &m)
}

// BundleAIModel returns a model as a bundle. The caller closes it.
func (c *Client) BundleAIModel(ctx context.Context, name string) (io.ReadCloser, error) {
	resp, err := c.exchange(ctx, &request{method: http.MethodGet, path: c.aiModelPath("bundle"), query: url.Values{"name": {name}}})
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}
