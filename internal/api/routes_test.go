package api_test

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/selvage-dev/selvage/internal/accounts"
	"github.com/selvage-dev/selvage/internal/api"
	"github.com/selvage-dev/selvage/internal/pages"
	"github.com/selvage-dev/selvage/internal/workers"
)

// noWorkers panics when it is called: the calls of these tests must not come that far.
func noWorkers(*bench) api.Workers { return struct{ api.Workers }{} }

var wildcard = regexp.MustCompile(`\{(\w+)\}`)

// concrete makes a path of a pattern.
func (b *bench) concrete(pattern, account string) string {
	return b.url + wildcard.ReplaceAllStringFunc(pattern, func(name string) string {
		if name == "{account}" {
			return account
		}
		return "x"
	})
}

// TestRouteTable holds for every route that nobody gets in without the right credentials.
func TestRouteTable(t *testing.T) {
	t.Parallel()
	b := newBench(t, noWorkers, nil)
	routes := api.RoutesOf(b.handler)
	if len(routes) < 50 {
		t.Fatalf("%d routes: the walk is broken", len(routes))
	}
	open := []string{"/healthz", "/readyz"}
	secret := []string{"/client/v4/accounts/{account}/workers/scripts/{script}/tails/{tail}/events", "/client/v4/accounts/{account}/pages/projects/{project}/deployments/{deployment}/tails/{tail}/events"}
	ticketed := []string{
		"/client/v4/accounts/{account}/workers/assets/upload", "/client/v4/accounts/{account}/workers/assets/upload/{hash}",
		"/client/v4/accounts/{account}/d1/database/{database}/import/{digest}", "/client/v4/accounts/{account}/d1/database/{database}/export/file",
		"/client/v4/pages/assets/check-missing", "/client/v4/pages/assets/upload", "/client/v4/pages/assets/upsert-hashes",
	}
	for _, r := range routes {
		t.Run(r.Method+" "+r.Pattern, func(t *testing.T) {
			if r.Open != slices.Contains(open, r.Pattern) || r.Secret != slices.Contains(secret, r.Pattern) || (r.Ticket != "") != slices.Contains(ticketed, r.Pattern) {
				t.Fatalf("open %v, ticket %q: not one of the listed exceptions", r.Open, r.Ticket)
			}
			if r.Secret {
				b.expect(t, r, b.account, "", http.StatusUnauthorized, 9109)
				b.expect(t, r, b.account, b.token, http.StatusUnauthorized, 9109)
				return
			}
			if r.Open {
				b.expect(t, r, b.account, "", http.StatusOK, 0)
				return
			}
			b.expect(t, r, b.account, "", http.StatusUnauthorized, 9106)
			b.expect(t, r, b.account, "slv_"+strings.Repeat("a", 40), http.StatusUnauthorized, cmp.Or(r.BadTicket, 9109))
			if r.Ticket != "" {
				b.expectTickets(t, r)
				return
			}
			if r.Scope != "" {
				b.expect(t, r, b.account, b.newToken(lacking(r.Scope, r.Also)...), http.StatusForbidden, 10023)
			}
			if strings.Contains(r.Pattern, "{account}") {
				b.expect(t, r, strings.Repeat("0", 32), b.token, http.StatusForbidden, 10023)
			}
		})
	}
}

// lacking returns all scopes that include neither need nor also.
func lacking(need, also string) (out []accounts.Scope) {
	for _, s := range accounts.Scopes() {
		if !s.Includes(accounts.Scope(need)) && (also == "" || !s.Includes(accounts.Scope(also))) {
			out = append(out, s)
		}
	}
	return out
}

func (b *bench) expectTickets(t *testing.T, r api.RouteInfo) {
	t.Helper()
	ticket := accounts.Ticket{Account: b.account, Object: "x", Action: r.Ticket, Expires: time.Now().Add(time.Minute)}
	other, old, action := ticket, ticket, ticket
	other.Account, old.Expires, action.Action = strings.Repeat("0", 32), time.Now().Add(-time.Minute), "something.else"
	bad := cmp.Or(r.BadTicket, 9109)
	good := b.accounts.IssueTicket(ticket)
	b.expect(t, r, b.account, b.token, http.StatusUnauthorized, bad) // the operator's token is no ticket
	b.expect(t, r, b.account, b.accounts.IssueTicket(old), http.StatusUnauthorized, bad)
	b.expect(t, r, b.account, b.accounts.IssueTicket(action), http.StatusUnauthorized, bad)
	b.expect(t, r, b.account, good[:len(good)-4]+"AAAA", http.StatusUnauthorized, bad)
	if !strings.Contains(r.Pattern, "{account}") {
		return // the handler compares
	}
	b.expect(t, r, b.account, b.accounts.IssueTicket(other), http.StatusForbidden, 10023)
	b.expect(t, r, strings.Repeat("0", 32), good, http.StatusForbidden, 10023)
}

func (b *bench) expect(t *testing.T, r api.RouteInfo, account, bearer string, status, code int) {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), r.Method, b.concrete(r.Pattern, account), nil)
	if err != nil {
		t.Fatal(err)
	}
	if r.InQuery {
		req.URL.RawQuery = url.Values{"ticket": {bearer}}.Encode()
		bearer = ""
	}
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	a := b.send(req)
	if a.Status != status || a.code() != code {
		t.Errorf("bearer %.12q, account %.4s: %d, code %d; want %d, %d: %s", bearer, account, a.Status, a.code(), status, code, a.Text)
	}
	if len(a.Header.Get("CF-Ray")) != 16 {
		t.Errorf("CF-Ray %q", a.Header.Get("CF-Ray"))
	}
}

// TestScopesOfTicketActions holds that the door asks for the tickets that the service issues.
func TestScopesOfTicketActions(t *testing.T) {
	t.Parallel()
	b := newBench(t, noWorkers, nil)
	for _, r := range api.RoutesOf(b.handler) {
		if r.Ticket != "" && r.Ticket != workers.ActionAssetUpload && r.Ticket != pages.ActionUpload && !r.InQuery { // those of a query are the door's own
			t.Errorf("%s takes a ticket for %q", r.Pattern, r.Ticket)
		}
	}
}

func TestUnknownRoutes(t *testing.T) {
	t.Parallel()
	b := newBench(t, noWorkers, nil)
	for _, c := range []struct {
		method, path string
		status, code int
		allow, text  string
	}{
		{"GET", "/A/r2/buckets", 404, 7000, "", "does not offer GET /client/v4/accounts/"},
		{"GET", "/nothing", 404, 7000, "", "selvage 0.0.0-test does not offer GET /client/v4/nothing"},
		{"DELETE", "/A/workers/subdomain", 405, 7001, "GET, PUT", "DELETE is not a method of"},
		{"POST", "/user", 405, 7001, "GET", ""},
		// No redirect, no cleaning: these are other paths.
		{"GET", "//user", 404, 7000, "", ""},
		{"GET", "/A/../user", 404, 7000, "", ""},
		{"GET", "/user/", 404, 7000, "", ""},
		{"GET", "/accounts//workers/subdomain", 404, 7000, "", ""},
		{"GET", "/A/workers/scripts/%2e%2e/versions", 404, 7000, "", ""},
		{"GET", "/A/workers/scripts/a%00b/versions", 404, 7000, "", ""},
		{"GET", "/" + strings.Repeat("a/", 2000), 404, 7000, "", ""},
	} {
		req, err := http.NewRequestWithContext(t.Context(), c.method, b.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		// Set raw: building a URL from a text would clean it.
		req.URL.Opaque = strings.TrimPrefix(b.path(c.path), "http:")
		req.Header.Set("Authorization", "Bearer "+b.token)
		a := b.send(req)
		if a.Status != c.status || a.code() != c.code || a.Header.Get("Allow") != c.allow || !strings.Contains(a.message(), c.text) {
			t.Errorf("%s %.60s: %d %d, Allow %q: %.300s", c.method, c.path, a.Status, a.code(), a.Header.Get("Allow"), a.Text)
		}
	}
}

func TestMetricsAccess(t *testing.T) {
	t.Parallel()
	b := newBench(t, noWorkers, func(o *api.Options) { o.OpenMetrics = true })
	b.do("GET", "/user", "")
	resp, err := http.Get(b.url + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	a := b.send(resp.Request)
	_ = resp.Body.Close()
	for _, want := range []string{
		`selvage_api_requests_total{code="200",method="GET",route="/client/v4/user"} 1`,
		`selvage_api_request_duration_seconds_count{route="/client/v4/user"} 1`,
	} {
		if !strings.Contains(a.Text, want) {
			t.Errorf("metrics lack %s", want)
		}
	}
}
