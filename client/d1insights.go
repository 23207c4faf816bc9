package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// D1InsightsQuery selects statements; zero fields take the platform's defaults.
type D1InsightsQuery struct {
	Period        string // such as 1d, 6h or 30m
	SortBy        string // time, reads, writes, returned or count
	SortType      string // sum or avg
	SortDirection string // ASC or DESC
	Limit         int
}

// D1Insights is what a database did in some time.
type D1Insights struct {
	From       time.Time     `json:"from"`
	To         time.Time     `json:"to"`
	Activity   D1Activity    `json:"activity"`
	Statements []D1Statement `json:"statements"`
	Loops      []D1Loop      `json:"loops"`
}

// D1Activity counts queries and rows.
type D1Activity struct {
	ReadQueries  int64 `json:"readQueries"`
	WriteQueries int64 `json:"writeQueries"`
	RowsRead     int64 `json:"rowsRead"`
	RowsWritten  int64 `json:"rowsWritten"`
}

// D1Statement is what one statement did. In Query every literal is a question mark; it is
// empty for all statements together that are not told apart.
type D1Statement struct {
	Query        string       `json:"query"`
	Writes       bool         `json:"writes"`
	Runs         int64        `json:"runs"`
	TotalMs      float64      `json:"total_ms"`
	P50Ms        float64      `json:"p50_ms"`
	P95Ms        float64      `json:"p95_ms"`
	P99Ms        float64      `json:"p99_ms"`
	RowsRead     int64        `json:"rows_read"`
	RowsWritten  int64        `json:"rows_written"`
	RowsReturned int64        `json:"rows_returned"`
	Plan         []D1PlanStep `json:"plan"`
	PlanError    string       `json:"plan_error,omitempty"`
	Proposal     *D1Proposal  `json:"proposal,omitempty"`
}

// D1PlanStep is a line of SQLite's plan.
type D1PlanStep struct {
	Detail   string `json:"detail"`
	Depth    int    `json:"depth"`
	FullScan bool   `json:"full_scan"`
}

// D1Proposal is an index that SQLite's planner takes, and the plan with it.
type D1Proposal struct {
	SQL  string       `json:"sql"`
	Plan []D1PlanStep `json:"plan"`
}

// D1Loop is a statement that requests of one worker ran again and again, N+1. Route and Ray
// are those of the last.
type D1Loop struct {
	Worker    string    `json:"worker"`
	Query     string    `json:"query"`
	Route     string    `json:"route"`
	Ray       string    `json:"ray"`
	MostCalls int       `json:"most_calls"`
	Requests  int64     `json:"requests"`
	LastAt    time.Time `json:"last_at"`
}

// D1Insights returns what statements of a database did.
func (c *Client) D1Insights(ctx context.Context, ref string, in D1InsightsQuery) (D1Insights, error) {
	q := url.Values{}
	for name, value := range map[string]string{"period": in.Period, "sort_by": in.SortBy, "sort_type": in.SortType, "sort_direction": in.SortDirection} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if in.Limit != 0 {
		q.Set("limit", strconv.Itoa(in.Limit))
	}
	return result[D1Insights](ctx, c, http.MethodGet, c.path("selvage", "d1", ref, "insights"), q, nil)
}
