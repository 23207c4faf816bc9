package tail_test

import (
	"encoding/json"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/selvage-dev/selvage/internal/tail"
)

func TestFilters(t *testing.T) {
	t.Parallel()
	request := &tail.Item{
		Outcome: "ok", ScriptVersion: &tail.Version{ID: "v1"},
		Logs: []tail.Log{{Message: json.RawMessage(`["say \"hi\"",{"deep":"needle"}]`)}},
		Event: tail.Fetch{Request: tail.Request{
			Method: "GET", Headers: map[string]string{"x-a": "one two", "authorization": "Bearer abc"}, ClientIP: "::ffff:10.0.0.1",
		}},
	}
	cron := &tail.Item{Outcome: "exception", ScriptVersion: &tail.Version{ID: "v2"}, Exceptions: []tail.Exception{{Name: "TypeError", Message: "needle"}}, Event: tail.Scheduled{}}
	for filters, want := range map[string][2]bool{
		``:                                  {true, true},
		`{"filters":[]}`:                    {true, true},
		`{"filters":[{"sampling_rate":1}]}`: {true, true},
		`{"filters":[{"outcome":["ok","canceled"]}]}`:                    {true, false},
		`{"filters":[{"outcome":["exception"]}]}`:                        {false, true},
		`{"filters":[{"method":["post","get"]}]}`:                        {true, false},
		`{"filters":[{"method":["POST"]}]}`:                              {false, false},
		`{"filters":[{"header":{"key":"X-A"}}]}`:                         {true, false},
		`{"filters":[{"header":{"key":"x-a","query":"two"}}]}`:           {true, false},
		`{"filters":[{"header":{"key":"x-a","query":"three"}}]}`:         {false, false},
		`{"filters":[{"header":{"key":"authorization","query":"abc"}}]}`: {false, false}, // nobody finds out a secret
		`{"filters":[{"header":{"key":"authorization"}}]}`:               {true, false},
		`{"filters":[{"client_ip":["10.0.0.1"]}]}`:                       {true, false},
		`{"filters":[{"client_ip":["self"]}]}`:                           {true, false},
		`{"filters":[{"client_ip":["10.0.0.2","::1"]}]}`:                 {false, false},
		`{"filters":[{"query":"needle"}]}`:                               {true, true},
		`{"filters":[{"query":"say \"hi\""}]}`:                           {true, false},
		`{"filters":[{"query":"nothing"}]}`:                              {false, false},
		`{"filters":[{"scriptVersion":"v2"}]}`:                           {false, true},
		`{"filters":[{"outcome":["exception"]},{"scriptVersion":"v1"}]}`: {false, false},
		`{"filters":[{"outcome":["exception"],"scriptVersion":"v2"}]}`:   {false, true},
	} {
		f, err := tail.ParseFilters([]byte(filters), netip.MustParseAddr("10.0.0.1"))
		if err != nil {
			t.Errorf("%s: %v", filters, err)
			continue
		}
		if got := [2]bool{f.Matches(request), f.Matches(cron)}; got != want {
			t.Errorf("%s: %v, want %v", filters, got, want)
		}
	}
}

func TestSampling(t *testing.T) {
	t.Parallel()
	f := &tail.Filter{SamplingRate: 0.25}
	n := 0
	for range 10_000 {
		if f.Matches(&tail.Item{}) {
			n++
		}
	}
	if n < 2283 || n > 2717 { // five standard deviations
		t.Errorf("%d of 10,000 at a rate of 0.25", n)
	}
}

func TestBadFilters(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`outcome=ok`: "not JSON", `[]`: "not JSON", `{"filters":"ok"}`: "not JSON", `{"filters":["ok"]}`: "not JSON", `{"filters":[]} {}`: "followed",
		`{"filters":[{"sampling_rate":0}]}`: "sampling_rate", `{"filters":[{"sampling_rate":"1"}]}`: "sampling_rate", `{"filters":[{"outcome":[]}]}`: "outcome",
		`{"filters":[{"method":[1]}]}`: "method", `{"filters":[{"header":"x"}]}`: "header", `{"filters":[{"header":{"query":"x"}}]}`: "header",
		`{"filters":[{"client_ip":["1.2.3"]}]}`: "1.2.3", `{"filters":[{"query":""}]}`: "query", `{"filters":[{"scriptVersion":7}]}`: "scriptVersion",
		`{"filters":[{"colour":"red"}]}`: `"colour"`, `{"filters":[` + strings.Repeat(`{},`, 40) + `{}]}`: "41 filters",
	} {
		_, err := tail.ParseFilters([]byte(in), netip.Addr{})
		var bad *tail.FilterError
		if !errors.As(err, &bad) || !strings.Contains(bad.Text, want) {
			t.Errorf("%s: %v, want %q in it", in, err, want)
		}
	}
}

func FuzzFilters(f *testing.F) {
	f.Add([]byte(`{"filters":[{"outcome":["ok"]},{"header":{"key":"a","query":"b"}},{"client_ip":["self"]}]}`))
	f.Add([]byte(`{"filters":[{"sampling_rate":1e-9}]}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		filter, err := tail.ParseFilters(in, netip.MustParseAddr("::1"))
		if err != nil {
			if _, ok := errors.AsType[*tail.FilterError](err); !ok {
				t.Fatal(err)
			}
			return
		}
		filter.Matches(&tail.Item{Event: tail.Fetch{}})
	})
}

func TestRedaction(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"http://x/a/b?q=1": "http://x/a/b?q=1",
		"http://x/0123456789abcdef0123456789abcdef/y":       "http://x/REDACTED/y",
		"http://x/?k=123e4567-e89b-12d3-a456-426614174000":  "http://x/?k=REDACTED",
		"http://x/?t=AbCd0123efGH4567ijKL":                  "http://x/?t=AbCd0123efGH4567ijKL", // one too short
		"http://x/?t=AbCd0123efGH4567ijKLm":                 "http://x/?t=REDACTED",
		"http://x/a-perfectly-ordinary-title-of-an-article": "http://x/a-perfectly-ordinary-title-of-an-article",
		"http://x/0123456789abcdef":                         "http://x/0123456789abcdef",
	} {
		raw, err := json.Marshal(tail.Request{URL: url, Headers: map[string]string{"x-api-key": "s", "accept": "a", "cookie": "c", "x-jwt": "j"}})
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			URL     string            `json:"url"`
			Headers map[string]string `json:"headers"`
		}
		if err := json.Unmarshal(raw, &got); err != nil || got.URL != want {
			t.Errorf("%s: %s, want %s (%v)", url, got.URL, want, err)
		}
		if got.Headers["x-api-key"] != "REDACTED" || got.Headers["accept"] != "a" || got.Headers["cookie"] != "REDACTED" || got.Headers["x-jwt"] != "REDACTED" {
			t.Errorf("headers %v", got.Headers)
		}
	}
}
