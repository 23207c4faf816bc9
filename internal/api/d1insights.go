package api

import (
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/selvage-dev/selvage/internal/d1"
)

// insightsJSON is what a database did in some time.
type insightsJSON struct {
	From       time.Time       `json:"from"`
	To         time.Time       `json:"to"`
	Activity   sumJSON         `json:"activity"`
	Statements []statementJSON `json:"statements"`
	Loops      []loopJSON      `json:"loops"`
}

type statementJSON struct {
	Query        string        `json:"query"` // "" for all those that are not told apart
	Writes       bool          `json:"writes"`
	Runs         int64         `json:"runs"`
	TotalMs      float64       `json:"total_ms"`
	P50Ms        float64       `json:"p50_ms"`
	P95Ms        float64       `json:"p95_ms"`
	P99Ms        float64       `json:"p99_ms"`
	RowsRead     int64         `json:"rows_read"`
	RowsWritten  int64         `json:"rows_written"`
	RowsReturned int64         `json:"rows_returned"`
	Plan         []stepJSON    `json:"plan"`
	PlanError    string        `json:"plan_error,omitempty"`
	Proposal     *proposalJSON `json:"proposal,omitempty"`
}

type stepJSON struct {
	Detail   string `json:"detail"`
	Depth    int    `json:"depth"`
	FullScan bool   `json:"full_scan"`
}

// proposalJSON is an index with which the plan has fewer full scans or sorts.
type proposalJSON struct {
	SQL  string     `json:"sql"`
	Plan []stepJSON `json:"plan"`
}

type loopJSON struct {
	Worker   string    `json:"worker"`
	Query    string    `json:"query"`
	Route    string    `json:"route"` // of the last request; "" when it has not ended or was none
	Ray      string    `json:"ray"`   // of the last request
	Most     int       `json:"most_calls"`
	Requests int64     `json:"requests"`
	At       time.Time `json:"last_at"`
}

// getInsights answers what statements of a database did, with their plans.
func getInsights(c *call) (any, error) {
	q, err := insightsQuery(c.query(), time.Now())
	if err != nil {
		return nil, err
	}
	info, err := c.D1.Get(c.ctx(), c.account(), c.params["database"])
	if err != nil {
		return nil, err
	}
	q.Database = info.ID
	out := insightsJSON{From: q.From.UTC(), To: q.To.UTC()}
	hours, err := c.D1.Hours(c.ctx(), c.account(), info.ID, q.From, q.To)
	if err != nil {
		return nil, err
	}
	for _, h := range hours {
		out.Activity.ReadQueries += h.ReadQueries
		out.Activity.WriteQueries += h.WriteQueries
		out.Activity.RowsRead += h.RowsRead
		out.Activity.RowsWritten += h.RowsWritten
	}
	all, err := c.D1.Statements(c.ctx(), c.account(), q)
	if err != nil {
		return nil, err
	}
	plans, err := c.D1.Plans(c.ctx(), info.ID, all)
	if err != nil {
		return nil, err
	}
	out.Statements = make([]statementJSON, len(all))
	for i := range all {
		out.Statements[i] = statementOf(&all[i], &plans[i])
	}
	loops, err := c.D1.Loops(c.ctx(), info.ID, q.From)
	if err != nil {
		return nil, err
	}
	out.Loops = make([]loopJSON, len(loops))
	for i, l := range loops {
		out.Loops[i] = loopJSON{l.Script, l.Statement, l.Route, l.Ray, l.Most, l.Requests, l.At}
	}
	return out, nil
}

func statementOf(st *d1.Stats, p *d1.Plan) statementJSON {
	out := statementJSON{
		Query: st.Statement, Writes: st.Writes, Runs: st.Runs, TotalMs: milliseconds(st.Total),
		P50Ms: milliseconds(st.P50), P95Ms: milliseconds(st.P95), P99Ms: milliseconds(st.P99),
		RowsRead: st.RowsRead, RowsWritten: st.RowsWritten, RowsReturned: st.RowsReturned, Plan: stepsOf(p.Steps), PlanError: p.Err,
	}
	if p.Proposal != nil {
		out.Proposal = &proposalJSON{p.Proposal.SQL, stepsOf(p.Proposal.Steps)}
	}
	return out
}

func stepsOf(steps []d1.PlanStep) []stepJSON {
	out := make([]stepJSON, len(steps))
	for i, s := range steps {
		out[i] = stepJSON(s)
	}
	return out
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

const (
	defaultInsights = 20
	maxInsights     = 500 // each is explained
)

// insightsQuery reads period (such as 1d, 6h or 30m), sort_by, sort_type, sort_direction and limit.
func insightsQuery(in url.Values, now time.Time) (d1.StatsQuery, error) {
	q := d1.StatsQuery{To: now, Limit: defaultInsights, Percentile: true}
	period, err := parsePeriod(in.Get("period"))
	if err != nil {
		return q, err
	}
	q.From = now.Add(-period)
	by, ok := map[string]d1.StatsOrder{"": d1.ByTime, "time": d1.ByTime, "reads": d1.ByRowsRead, "writes": d1.ByRowsWritten, "returned": d1.ByRowsReturned, "count": d1.ByRuns}[in.Get("sort_by")]
	if !ok {
		return q, errf(codeBadRequest, "sort_by must be time, reads, writes, returned or count")
	}
	q.By = by
	for _, p := range []struct {
		name, no, yes string
		to            *bool
	}{{"sort_type", "sum", "avg", &q.Average}, {"sort_direction", "DESC", "ASC", &q.Ascending}} {
		switch v := in.Get(p.name); v {
		case "", p.no:
		case p.yes:
			*p.to = true
		default:
			return q, errf(codeBadRequest, "%s must be %s or %s", p.name, p.no, p.yes)
		}
	}
	if v := in.Get("limit"); v != "" {
		q.Limit, err = strconv.Atoi(v)
		if err != nil || q.Limit < 1 || q.Limit > maxInsights {
			return q, errf(codeBadRequest, "limit must be a number from 1 to %d", maxInsights)
		}
	}
	return q, nil
}

func parsePeriod(s string) (time.Duration, error) {
	if s == "" {
		return 24 * time.Hour, nil
	}
	for suffix, unit := range map[string]time.Duration{"d": 24 * time.Hour, "h": time.Hour, "m": time.Minute} {
		number, ok := strings.CutSuffix(s, suffix)
		if !ok {
			continue
		}
		n, err := strconv.Atoi(number)
		if err == nil && n > 0 && n <= int(31*24*time.Hour/unit) {
			return time.Duration(n) * unit, nil
		}
	}
	return 0, errf(codeBadRequest, "the period must be a number of days, hours or minutes up to 31 days, such as 1d, 6h or 30m")
}
