package assets_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/selvage-dev/selvage/internal/assets"
)

// platformCase is a configuration with the answers that the platform's own workers gave. See
// testdata/generate.cjs.
type platformCase struct {
	Name       string              `json:"name"`
	Worker     bool                `json:"worker"`
	Navigation bool                `json:"navigation"`
	Config     assets.Config       `json:"config"`
	Files      []string            `json:"files"`
	Results    [][]json.RawMessage `json:"results"`
}

type exchange struct {
	Method, Target string
	Request        map[string]string
	Status         int
	Location, Body string
	Header         map[string]string
}

func (c *platformCase) exchanges(t *testing.T) []exchange {
	t.Helper()
	out := make([]exchange, len(c.Results))
	for i, raw := range c.Results {
		e := &out[i]
		for j, dst := range []any{&e.Method, &e.Target, &e.Request, &e.Status, &e.Location, &e.Body, &e.Header} {
			if err := json.Unmarshal(raw[j], dst); err != nil {
				t.Fatal(err)
			}
		}
	}
	return out
}

// departures are where a Site answers otherwise than the platform, on purpose.
func departure(name string, e *exchange) (string, bool) {
	if !strings.HasPrefix(name, "redirects") {
		return "", false
	}
	switch e.Target {
	case "/host/a@b":
		return "a redirect to a URL with a user name is refused", true
	case "/host/a%2fb":
		return "a redirect to a malformed host is a 404, not a crash", true
	case "/v/1/2":
		return "placeholders of which one's name begins with another's work", true
	case "/net3":
		return "a destination with three slashes is a path, never a host", true
	}
	return "", false
}

func TestPlatform(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/platform.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []platformCase
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) < 60 {
		t.Fatalf("only %d cases in testdata/platform.json", len(cases))
	}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			c.Config.NavigationPrefersAssets = c.Navigation
			s := site(t, c.Config, c.Files...)
			for _, want := range c.exchanges(t) {
				for round := range 2 { // The second time from the cache.
					name := fmt.Sprintf("%s %s %v (%d)", want.Method, want.Target, want.Request, round)
					got := playPlatform(t, s, c.Worker, &want)
					if why, ok := departure(c.Name, &want); ok {
						if cmp.Equal(want, got) {
							t.Errorf("%s: no longer departs from the platform: %s", name, why)
						}
						continue
					}
					if diff := cmp.Diff(want, got); diff != "" {
						t.Errorf("%s: (-platform +site)\n%s", name, diff)
					}
				}
			}
		})
	}
}

// playPlatform asks a site as the edge does.
func playPlatform(t *testing.T, s *assets.Site, worker bool, e *exchange) exchange {
	t.Helper()
	r := request(e.Method, e.Target, e.Request)
	got := exchange{Method: e.Method, Target: e.Target, Request: e.Request, Header: map[string]string{}}
	switch action := s.Route(r, worker); {
	case action == assets.RunWorker:
		got.Status, got.Body = 200, "worker"
		got.Header["content-type"] = "text/plain;charset=UTF-8"
		return got
	case action == assets.NotFound && worker:
		t.Errorf("%s %s: not found although there is a worker", e.Method, e.Target)
	}
	res := respond(t, s, r)
	got.Status, got.Location, got.Body = res.Status, field(&res, "Location"), string(read(t, &res))
	for _, name := range []string{"Content-Type", "Cache-Control", "Etag", "Set-Cookie"} {
		if v := field(&res, name); v != "" {
			got.Header[strings.ToLower(name)] = v
		}
	}
	for _, f := range res.Header {
		if strings.HasPrefix(f.Name, "X-") {
			got.Header[strings.ToLower(f.Name)] = field(&res, f.Name)
		}
	}
	if _, ok := got.Header["etag"]; ok {
		got.Header["etag"] = "tag"
	}
	return got
}
