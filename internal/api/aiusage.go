package api

import (
	"context"
	"net/http"
	"time"

	"github.com/selvage-dev/selvage/internal/accounts"
	"github.com/selvage-dev/selvage/internal/ai"
	"github.com/selvage-dev/selvage/internal/ai/ledger"
)

// AILedger knows what models were used for, and may be.
type AILedger interface {
	Usage(ctx context.Context, account string, from, to time.Time) ([]ai.UsageRow, error)
	Limits(account string) []ledger.Limited
	SetLimits(ctx context.Context, account, subject string, l *ledger.Limits) error
}

func aiUsageRoutes() []route {
	const read = accounts.ScopeAIRead
	const operator = accounts.ScopeAll // what may be spent is the operator's to say
	return []route{
		{Method: http.MethodGet, Pattern: ownPath + "/ai/usage", Scope: read, Handler: aiUsage},
		{Method: http.MethodGet, Pattern: ownPath + "/ai/limits", Scope: read, Handler: aiLimits},
		{Method: http.MethodPut, Pattern: ownPath + "/ai/limits", Scope: operator, MaxBody: smallBody, Handler: putAILimits},
		{Method: http.MethodDelete, Pattern: ownPath + "/ai/limits", Scope: operator, Handler: deleteAILimits},
	}
}

// usageJSON is what was used.
type usageJSON struct {
	Requests  int64   `json:"requests"`
	Failed    int64   `json:"failed"`
	TokensIn  int64   `json:"tokens_in"`
	TokensOut int64   `json:"tokens_out"`
	Neurons   float64 `json:"neurons"`
	// Dollars is what the original platform would have taken, its free allocation apart.
	Dollars float64 `json:"dollars"`
}

func usageOf(a *ledger.Amount) usageJSON {
	neurons := float64(a.Neurons) / ledger.Micro
	return usageJSON{a.Requests, a.Failed, a.In, a.Out, neurons, neurons * ai.DollarsPerNeuron}
}

type usageRowJSON struct {
	Day     string `json:"day"`
	Subject string `json:"subject"`
	Model   string `json:"model"`
	usageJSON

	// Assumed says that no price of the model was published, and neurons are those of a usual
	// model of its kind.
	Assumed bool `json:"price_assumed"`
}

// day reads a day of the query.
func (c *call) day(name string, missing time.Time) (time.Time, error) {
	text := c.query().Get(name)
	if text == "" {
		return missing, nil
	}
	at, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return at, errf(codeBadRequest, "query parameter %s is %.20q; give a day such as 2026-11-25", name, text)
	}
	return at, nil
}

func aiUsage(c *call) (any, error) {
	now := time.Now().UTC()
	from, err := c.day("from", time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC))
	if err != nil {
		return nil, err
	}
	to, err := c.day("to", now)
	if err != nil {
		return nil, err
	}
	rows, err := c.AI.Usage(c.ctx(), c.account(), from, to)
	if err != nil {
		return nil, err
	}
	out := make([]usageRowJSON, len(rows))
	for i := range rows {
		r := &rows[i]
		out[i] = usageRowJSON{r.Day, r.Subject, r.Model, usageOf(&r.Amount), r.Assumed}
	}
	return out, nil
}

func aiLimits(c *call) (any, error) {
	type item struct {
		Subject string               `json:"subject"`
		Limits  ledger.Limits        `json:"limits"`
		Used    map[string]usageJSON `json:"used"`
	}
	all := c.AI.Limits(c.account())
	out := make([]item, len(all))
	for i := range all {
		out[i] = item{all[i].Subject, all[i].Limits, map[string]usageJSON{}}
		for span := range all[i].Used {
			out[i].Used[ledger.Span(span).String()] = usageOf(&all[i].Used[span])
		}
	}
	return out, nil
}

func putAILimits(c *call) (any, error) {
	var limits ledger.Limits
	if err := c.decode(&limits); err != nil {
		return nil, err
	}
	return limits, c.AI.SetLimits(c.ctx(), c.account(), c.query().Get("subject"), &limits)
}

func deleteAILimits(c *call) (any, error) {
	subject := c.query().Get("subject")
	return map[string]string{"subject": subject}, c.AI.SetLimits(c.ctx(), c.account(), subject, nil)
}
