package api

import (
	"net/url"
	"strconv"
)

// resultInfo tells a client where in a list an answer stands.
type resultInfo struct {
	Page       int    `json:"page,omitempty"`
	PerPage    int    `json:"per_page,omitempty"`
	Count      int    `json:"count"`
	TotalCount int    `json:"total_count"`
	TotalPages int    `json:"total_pages,omitempty"`
	Cursor     string `json:"cursor,omitempty"`
}

const (
	defaultPerPage = 20
	maxPerPage     = 1000
)

// page cuts one page out of a list by the query's page and per_page. A page beyond the end is empty:
// wrangler's length loops (they ask for the next page while the last one was full) and its SDK (it
// asks until a page is empty) both end there.
func page[T any](q url.Values, all []T) (paged, error) {
	// page=0 is what wrangler's config download sends for the first page.
	n, err := intParam(q, "page", 1, 0, 1<<30)
	if err != nil {
		return paged{}, err
	}
	n = max(n, 1)
	per, err := intParam(q, "per_page", defaultPerPage, 1, maxPerPage)
	if err != nil {
		return paged{}, err
	}
	from := min((n-1)*per, len(all))
	items := all[from:min(from+per, len(all))]
	if items == nil {
		items = []T{}
	}
	return paged{Items: items, Info: resultInfo{
		Page: n, PerPage: per, Count: len(items), TotalCount: len(all), TotalPages: (len(all) + per - 1) / per,
	}}, nil
}

// intParam reads a whole number from the query.
func intParam(q url.Values, name string, missing, low, high int) (int, error) {
	s := q.Get(name)
	if s == "" {
		return missing, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < low || n > high {
		return 0, errf(codeBadRequest, "query parameter %s is %q; give a whole number from %d to %d", name, s, low, high)
	}
	return n, nil
}
