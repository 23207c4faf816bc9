package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
)

// AIAmount is what was used of models.
type AIAmount struct {
	Requests  int64   `json:"requests"`
	Failed    int64   `json:"failed"` // of these
	TokensIn  int64   `json:"tokens_in"`
	TokensOut int64   `json:"tokens_out"`
	Neurons   float64 `json:"neurons"`
	Dollars   float64 `json:"dollars"` // what the original platform would have taken
}

// AIUsage is what one subject (worker:NAME or token:ID) used of one model on one day.
type AIUsage struct {
	Day     string `json:"day"`
	Subject string `json:"subject"`
	Model   string `json:"model"`
	AIAmount

	// Assumed says that no price of the model was published, and that of a usual one counts.
	Assumed bool `json:"price_assumed"`
}

// AIPer is a limit for each span; 0 is none.
type AIPer struct {
	Minute int64 `json:"minute,omitempty"`
	Day    int64 `json:"day,omitempty"`
	Month  int64 `json:"month,omitempty"`
}

// AILimits bound what one subject may use; zero fields bound nothing.
type AILimits struct {
	InputBytes  int64 `json:"input_bytes,omitempty"`
	Requests    AIPer `json:"requests,omitzero"`
	Tokens      AIPer `json:"tokens,omitzero"`
	Neurons     AIPer `json:"neurons,omitzero"`
	WarnPercent int   `json:"warn_percent,omitempty"`
}

// AILimited is a subject with its limits, and what it has used of each span: minute, day
// and month.
type AILimited struct {
	Subject string              `json:"subject"`
	Limits  AILimits            `json:"limits"`
	Used    map[string]AIAmount `json:"used"`
}

// AIUsage returns what was used from a day to another, both included and as 2006-01-02;
// "" for the first of this month, and for today.
func (c *Client) AIUsage(ctx context.Context, from, to string) ([]AIUsage, error) {
	q := url.Values{}
	if from != "" {
		q.Set("from", from)
	}
	if to != "" {
		q.Set("to", to)
	}
	return result[[]AIUsage](ctx, c, http.MethodGet, c.path("selvage", "ai", "usage"), q, nil)
}

// AILimits lists the limits that are set.
func (c *Client) AILimits(ctx context.Context) ([]AILimited, error) {
	return result[[]AILimited](ctx, c, http.MethodGet, c.path("selvage", "ai", "limits"), nil, nil)
}

// SetAILimits sets the limits of a subject: account, worker:NAME, token:ID, and worker:*
// or token:* for each that has none of its own.
func (c *Client) SetAILimits(ctx context.Context, subject string, l AILimits) error { //nolint:gocritic // it is sent
	_, err := result[json.RawMessage](ctx, c, http.MethodPut, c.path("selvage", "ai", "limits"), url.Values{"subject": {subject}}, l)
	return err
}

// RemoveAILimits removes the limits of a subject.
func (c *Client) RemoveAILimits(ctx context.Context, subject string) error {
	_, err := result[json.RawMessage](ctx, c, http.MethodDelete, c.path("selvage", "ai", "limits"), url.Values{"subject": {subject}}, nil)
	return err
}
