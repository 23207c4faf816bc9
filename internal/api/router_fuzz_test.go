package api_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/selvage-dev/selvage/internal/api"
)

// FuzzPath holds that no path, however it is written, comes to a handler without credentials, and that
// every answer is an envelope.
func FuzzPath(f *testing.F) {
	for _, p := range []string{
		"/client/v4/user", "/client/v4/accounts/x/workers/scripts/a%2Fb/versions/../..", "//healthz", "/client/v4//", "/%2e%2e/metrics",
		"/client/v4/accounts/%00/workers/subdomain", "/client/v4/accounts/x/workers/assets/upload/%ff", "/healthz/..", "*", "",
	} {
		f.Add("GET", p)
		f.Add("POST", p)
	}
	h := api.New(api.Options{Registry: prometheus.NewRegistry(), Accounts: struct{ api.Accounts }{}, Workers: struct{ api.Workers }{}, Log: discard()})
	f.Fuzz(func(t *testing.T, method, path string) {
		u, err := url.ParseRequestURI(path)
		if err != nil || strings.ContainsAny(method, " \t\r\n") || method == "" {
			return
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, &http.Request{Method: method, URL: u, Header: http.Header{}, Body: http.NoBody})
		switch {
		case w.Code == http.StatusOK && (path == "/healthz" || path == "/readyz" || strings.HasPrefix(path, "/healthz?") || strings.HasPrefix(path, "/readyz?")):
		case w.Code == http.StatusUnauthorized, w.Code == http.StatusNotFound, w.Code == http.StatusMethodNotAllowed:
			if !strings.HasPrefix(w.Body.String(), `{"success":false`) {
				t.Errorf("%q %q: %s", method, path, w.Body)
			}
		default:
			t.Errorf("%q %q: %d %s", method, path, w.Code, w.Body)
		}
	})
}
