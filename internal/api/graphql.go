package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/selvage-dev/selvage/internal/accounts"
	"github.com/selvage-dev/selvage/internal/d1"
)

// Insights tells what the statements of databases did.
type Insights interface {
	Statements(ctx context.Context, account string, q d1.StatsQuery) ([]d1.Stats, error)
	Hours(ctx context.Context, account, database string, from, to time.Time) ([]d1.Activity, error)
	Plans(ctx context.Context, database string, stats []d1.Stats) ([]d1.Plan, error)
	Loops(ctx context.Context, database string, from time.Time) ([]d1.StoredLoop, error)
}

func d1InsightRoutes() []route {
	return []route{
		{Method: http.MethodPost, Pattern: "/graphql", Scope: accounts.ScopeD1Read, MaxBody: smallBody, Handler: postGraphQL},
		{Method: http.MethodGet, Pattern: ownPath + "/d1/{database}/insights", Scope: accounts.ScopeD1Read, Handler: getInsights},
	}
}

// graphQuery is a request of the GraphQL analytics API. Of that API two operations are
// answered, those of "wrangler d1 info" and "wrangler d1 insights". Their text is not
// interpreted as GraphQL: the operation is known by its name, and its arguments are found in it.
type graphQuery struct {
	Query         string `json:"query"`
	OperationName string `json:"operationName"`
	Variables     struct {
		AccountTag string      `json:"accountTag"`
		Filter     graphFilter `json:"filter"`
	} `json:"variables"`
}

// graphFilter selects the data; fields may stand in an AND, whose parts are merged.
type graphFilter struct {
	From       string        `json:"datetimeHour_geq"`
	To         string        `json:"datetimeHour_leq"`
	DatabaseID string        `json:"databaseId"`
	And        []graphFilter `json:"AND"`
}

// A window of maxGraphWindow is the largest that is answered, and what is kept.
const maxGraphWindow = 32 * 24 * time.Hour

func postGraphQL(c *call) (any, error) {
	var q graphQuery
	if err := c.decode(&q); err != nil {
		return nil, err
	}
	data, err := c.graphQL(&q)
	if refused, ok := err.(*graphError); ok { //nolint:errorlint // made here
		return stream(func(w http.ResponseWriter) error {
			return writeGraph(w, nil, []*graphError{refused})
		}), nil
	}
	if err != nil {
		return nil, err
	}
	return stream(func(w http.ResponseWriter) error {
		return writeGraph(w, map[string]any{"viewer": map[string]any{"accounts": []any{data}}}, nil)
	}), nil
}

// graphError is an error in the form of GraphQL.
type graphError struct {
	Message    string          `json:"message"`
	Path       []string        `json:"path"`
	Extensions graphExtensions `json:"extensions"`
}

type graphExtensions struct {
	Code      string    `json:"code"`
	Timestamp time.Time `json:"timestamp"`
}

func (e *graphError) Error() string { return e.Message }

func refuseGraph(code, format string, args ...any) *graphError {
	return &graphError{Message: fmt.Sprintf(format, args...), Extensions: graphExtensions{code, time.Now().UTC()}}
}

func (c *call) graphQL(q *graphQuery) (any, error) {
	if q.Variables.AccountTag != c.Accounts.Account().ID {
		return nil, refuseGraph("authz", "not authorized for that account")
	}
	name := q.OperationName
	if name == "" {
		if m := regexp.MustCompile(`^\s*query\s+(\w+)`).FindStringSubmatch(q.Query); m != nil {
			name = m[1]
		}
	}
	var answer func(*graphQuery, *graphFilter, time.Time, time.Time) (any, error)
	switch name {
	case "getD1MetricsOverviewQuery":
		answer = c.graphMetrics
	case "getD1QueriesOverviewQuery":
		answer = c.graphStatements
	default:
		return nil, refuseGraph("error", "the operation %s is not offered: this platform answers getD1MetricsOverviewQuery and getD1QueriesOverviewQuery, those of \"d1 info\" and \"d1 insights\"", quoted(name))
	}
	filter, err := q.Variables.Filter.merged()
	if err != nil {
		return nil, err
	}
	from, to, err := filter.window()
	if err != nil {
		return nil, err
	}
	return answer(q, &filter, from, to)
}

// merged is the filter with the parts of its AND in it.
func (f *graphFilter) merged() (graphFilter, error) {
	out := *f
	for i := range f.And {
		part := &f.And[i]
		if len(part.And) > 0 {
			return out, refuseGraph("parse", "an AND in an AND is not offered")
		}
		for _, p := range []struct{ to, from *string }{{&out.From, &part.From}, {&out.To, &part.To}, {&out.DatabaseID, &part.DatabaseID}} {
			switch {
			case *p.from == "":
			case *p.to != "" && *p.to != *p.from:
				return out, refuseGraph("parse", "the filter names two different values of one field")
			default:
				*p.to = *p.from
			}
		}
	}
	return out, nil
}

func (f *graphFilter) window() (from, to time.Time, err error) {
	for _, p := range []struct {
		name, text string
		at         *time.Time
	}{{"datetimeHour_geq", f.From, &from}, {"datetimeHour_leq", f.To, &to}} {
		*p.at, err = time.Parse(time.RFC3339Nano, p.text)
		if err != nil {
			return from, to, refuseGraph("parse", "the filter needs %s, a time such as 2026-09-01T12:00:00Z", p.name)
		}
	}
	if to.Sub(from) > maxGraphWindow {
		return from, to, refuseGraph("quota", "the time range is longer than the 31 days that are kept")
	}
	return from, to, nil
}

type sumJSON struct {
	ReadQueries  int64 `json:"readQueries"`
	WriteQueries int64 `json:"writeQueries"`
	RowsRead     int64 `json:"rowsRead"`
	RowsWritten  int64 `json:"rowsWritten"`
}

func (c *call) graphMetrics(_ *graphQuery, f *graphFilter, from, to time.Time) (any, error) {
	hours, err := c.D1.Hours(c.ctx(), c.home(), f.DatabaseID, from, to)
	if err != nil {
		return nil, err
	}
	type group struct {
		Sum        sumJSON           `json:"sum"`
		Dimensions map[string]string `json:"dimensions"`
	}
	groups := make([]group, len(hours))
	for i, h := range hours {
		groups[i] = group{sumJSON{h.ReadQueries, h.WriteQueries, h.RowsRead, h.RowsWritten}, map[string]string{"datetimeHour": h.Hour.Format(time.RFC3339)}}
	}
	return map[string]any{"d1AnalyticsAdaptiveGroups": groups}, nil
}

var (
	graphLimit = regexp.MustCompile(`d1QueriesAdaptiveGroups\s*\(\s*limit\s*:\s*([^\s,)]+)`)
	graphOrder = regexp.MustCompile(`orderBy\s*:\s*\[\s*(\w+)\s*\]`)
)

// graphStatsQuery reads the limit and the order out of the text of the operation.
func graphStatsQuery(text string) (d1.StatsQuery, error) {
	var q d1.StatsQuery
	m := graphLimit.FindStringSubmatch(text)
	if m == nil {
		return q, refuseGraph("parse", "d1QueriesAdaptiveGroups needs a limit")
	}
	limit, err := strconv.Atoi(m[1])
	if err != nil || limit < 1 || limit > d1.MaxStats {
		return q, refuseGraph("parse", "the limit must be a number from 1 to %d", d1.MaxStats)
	}
	q.Limit = limit
	if m = graphOrder.FindStringSubmatch(text); m == nil {
		return q, refuseGraph("parse", "d1QueriesAdaptiveGroups needs an order: orderBy: [sum_queryDurationMs_DESC]")
	}
	name := m[1]
	if field, ok := strings.CutSuffix(name, "_ASC"); ok {
		q.Ascending, name = true, field
	} else if name, ok = strings.CutSuffix(name, "_DESC"); !ok {
		return q, refuseGraph("parse", "the order %s must end with _ASC or _DESC", quoted(m[1]))
	}
	if field, ok := strings.CutPrefix(name, "avg_"); ok {
		q.Average, name = true, field
	} else {
		name = strings.TrimPrefix(name, "sum_")
	}
	by, ok := map[string]d1.StatsOrder{
		"queryDurationMs": d1.ByTime, "rowsRead": d1.ByRowsRead, "rowsWritten": d1.ByRowsWritten, "rowsReturned": d1.ByRowsReturned, "count": d1.ByRuns,
	}[name]
	if !ok {
		return q, refuseGraph("parse", "statements cannot be ordered by %s", quoted(m[1]))
	}
	q.By = by
	return q, nil
}

type statsGroupJSON struct {
	Sum        statsJSON `json:"sum"`
	Avg        statsJSON `json:"avg"`
	Count      int64     `json:"count"`
	Dimensions struct {
		Query      string `json:"query"`
		DatabaseID string `json:"databaseId"`
	} `json:"dimensions"`
}

type statsJSON struct {
	DurationMs   float64 `json:"queryDurationMs"`
	RowsRead     float64 `json:"rowsRead"`
	RowsWritten  float64 `json:"rowsWritten"`
	RowsReturned float64 `json:"rowsReturned"`
}

func (c *call) graphStatements(q *graphQuery, f *graphFilter, from, to time.Time) (any, error) {
	sq, err := graphStatsQuery(q.Query)
	if err != nil {
		return nil, err
	}
	sq.Database, sq.From, sq.To = f.DatabaseID, from, to
	all, err := c.D1.Statements(c.ctx(), c.home(), sq)
	if err != nil {
		return nil, err
	}
	groups := make([]statsGroupJSON, len(all))
	for i := range all {
		st, g := &all[i], &groups[i]
		g.Count = st.Runs
		g.Dimensions.Query, g.Dimensions.DatabaseID = st.Statement, st.Database
		g.Sum = statsJSON{float64(st.Total.Microseconds()) / 1000, float64(st.RowsRead), float64(st.RowsWritten), float64(st.RowsReturned)}
		n := float64(max(st.Runs, 1))
		g.Avg = statsJSON{g.Sum.DurationMs / n, g.Sum.RowsRead / n, g.Sum.RowsWritten / n, g.Sum.RowsReturned / n}
	}
	return map[string]any{"d1QueriesAdaptiveGroups": groups}, nil
}

// writeGraph writes an answer in the form of GraphQL, which is not the envelope of the API.
func writeGraph(w http.ResponseWriter, data any, errs []*graphError) error {
	body, err := json.Marshal(map[string]any{"data": data, "errors": errs})
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	_, err = w.Write(body)
	return err
}

// quoted shortens a text of the caller for a message.
func quoted(s string) string {
	const longest = 80
	if len(s) > longest {
		s = s[:longest] + "…"
	}
	return strconv.Quote(strings.ToValidUTF8(s, "?"))
}
