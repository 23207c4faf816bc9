package edge_test

import (
	"net/http"
	"testing"

	"github.com/selvage-dev/selvage/internal/edge"
	"github.com/selvage-dev/selvage/internal/telemetry"
)

// twoVersions answers by itself, and remembers what it was asked.
type twoVersions struct {
	target        edge.Target
	key, override string
}

func (v *twoVersions) Pick(key, override string) edge.Target {
	v.key, v.override = string([]byte(key)), string([]byte(override))
	t := v.target
	if override == "b" {
		t.Version = "b"
	}
	return t
}

// TestGradual holds what the edge asks of a gradual deployment, that the version
// that was picked is the one in the access log, and that a worker sees the fields.
func TestGradual(t *testing.T) {
	v := &twoVersions{}
	p := start(t, http.HandlerFunc(dump), func(o *edge.Options, w *worker) {
		v.target = edge.Target{Account: "acc", Script: "app", Version: "a", Worker: w}
		o.Workers.(lookup)["gradual.test"] = edge.Target{Script: "app", Version: "a", Worker: w, Shares: v}
	})
	const overrides = "Cloudflare-Workers-Version-Overrides: "
	for _, tt := range []struct{ name, fields, key, override string }{
		{"nothing", "", "", ""},
		{"a key", "cloudflare-Workers-Version-KEY: me\r\n", "me", ""},
		{"an override", overrides + `app="b"` + "\r\n", "", "b"},
		{"of others", overrides + `other="b", appx="b", ap="b"` + "\r\n", "", ""},
		{"among others", overrides + `x;y=1, app="b";z, q=(1 2)` + "\r\n", "", "b"},
		{"the last one", overrides + `app="a", app="b"` + "\r\n", "", "b"},
		{"two fields", overrides + `app="a"` + "\r\n" + overrides + `app="b"` + "\r\n", "", "b"},
		{"a token", overrides + `app=b` + "\r\n", "", ""},
		{"no dictionary", overrides + `app="b", ` + "\r\n" + overrides + `=` + "\r\n", "", ""},
		{"broken at the end", overrides + `app="b", x="` + "\r\n", "", ""},
		{"one field broken", overrides + `app="b"` + "\r\n" + overrides + `"` + "\r\n", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			resp, body := p.do("GET /" + " HTTP/1.1\r\nHost: gradual.test\r\n" + tt.fields + "\r\n")
			if resp.StatusCode != http.StatusOK || v.key != tt.key || v.override != tt.override {
				t.Errorf("%d: key %q, override %q\n%s", resp.StatusCode, v.key, v.override, body)
			}
			want := "a"
			if tt.override == "b" {
				want = "b"
			}
			ray := resp.Header.Get("CF-Ray")
			if e := p.events.wait(t, telemetry.KindAccess, func(e telemetry.Event) bool { return e.Ray == ray }); e.Version != want {
				t.Errorf("the access log says version %q, want %q", e.Version, want)
			}
		})
	}
}
