package api

import "net/http"

// RouteInfo is what a test reads of a route.
type RouteInfo struct {
	Method, Pattern, Scope, Also, Ticket string
	Open, Secret, InQuery                bool
	MaxBody                              int64
	BadTicket                            int
}

// RoutesOf returns the table that a handler made by [New] serves.
func RoutesOf(h http.Handler) []RouteInfo {
	s := h.(*server)
	var out []RouteInfo
	for _, r := range s.routes() {
		out = append(out, RouteInfo{r.Method, r.Pattern, string(r.Scope), string(r.Also), r.Ticket, r.Open, r.Secret, r.InQuery, r.MaxBody, r.BadTicket})
	}
	return out
}
