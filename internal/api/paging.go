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
	n, per, err := pageParams(q, defaultPerPage)
	if err != nil {
		return paged{}, err
	}
	from := min((n-1)*per, len(all))
	items := list(all[from:min(from+per, len(all))])
	return paged{Items: items, Info: newResultInfo(n, per, len(items), len(all))}, nil
}

// pageParams reads page (from 1) and per_page. The page 0, which wrangler asks for when it downloads a
// configuration, is the first one too.
func pageParams(q url.Values, defaultPer int) (n, per int, err error) {
	if n, err = intParam(q, "page", 1, 0, 1<<20); err != nil {
		return 0, 0, err
	}
	per, err = intParam(q, "per_page", defaultPer, 1, maxPerPage)
	return max(n, 1), per, err
}

func newResultInfo(page, per, count, total int) resultInfo {
	return resultInfo{Page: page, PerPage: per, Count: count, TotalCount: total, TotalPages: (total + per - 1) / per}
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
