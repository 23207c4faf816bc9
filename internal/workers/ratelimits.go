package workers

import (
	"encoding/json"
	"strconv"

	"github.com/selvage-dev/selvage/internal/workers/workerd"
)

const typeRateLimit = "ratelimit"

// rateLimit is what a stored binding of type ratelimit holds.
type rateLimit struct {
	Namespace string `json:"namespace_id"`
	Limit     int64  `json:"limit"`
	Period    int64  `json:"period"` // seconds, 10 or 60
}

// RateLimit is a rate limiting binding of a running version.
type RateLimit struct {
	Binding   string // its name in the worker's env
	Namespace string // counters are shared by all that name the same, within an account
	Limit     int64  // calls in a window
	Period    int64  // length of a window in seconds
}

// maxRateLimit bounds a limit: what the wire between wrangler, worker and
// platform carries without loss in JavaScript's numbers.
const maxRateLimit = 1<<53 - 1

// parseRateLimit reads a binding of type ratelimit as an upload brings it. The
// namespace is a number in a string.
func parseRateLimit(name string, raw json.RawMessage) (*rateLimit, error) {
	var in struct {
		Namespace string `json:"namespace_id"`
		Simple    *struct {
			Limit  *json.Number `json:"limit"`
			Period *json.Number `json:"period"`
		} `json:"simple"`
	}
	if err := json.Unmarshal(raw, &in); err != nil || in.Simple == nil || in.Simple.Limit == nil || in.Simple.Period == nil {
		return nil, invalidScript(`The binding %q of type ratelimit needs "simple": {"limit": …, "period": …} with two numbers.`, name)
	}
	ns := in.Namespace
	if n, err := strconv.ParseUint(ns, 10, 63); err != nil || n == 0 || strconv.FormatUint(n, 10) != ns {
		return nil, invalidScript("The binding %q of type ratelimit has the namespace_id %q. It must be a positive integer in a string, such as \"1001\".", name, clip(ns))
	}
	limit, err := strconv.ParseInt(in.Simple.Limit.String(), 10, 64)
	if err != nil || limit < 1 || limit > maxRateLimit {
		return nil, invalidScript("The binding %q of type ratelimit has the limit %s. It must be a positive integer.", name, clip(in.Simple.Limit.String()))
	}
	switch p := in.Simple.Period.String(); p {
	case "10":
		return &rateLimit{Namespace: ns, Limit: limit, Period: 10}, nil
	case "60":
		return &rateLimit{Namespace: ns, Limit: limit, Period: 60}, nil
	default:
		return nil, invalidScript("The binding %q of type ratelimit has the period %s. It must be 10 or 60 seconds.", name, clip(p))
	}
}

// public returns the binding in the API's form.
func (r *rateLimit) public(name string) json.RawMessage {
	return json.RawMessage(`{"name":` + quote(name) + `,"type":"ratelimit","namespace_id":` + quote(r.Namespace) +
		`,"simple":{"limit":` + strconv.FormatInt(r.Limit, 10) + `,"period":` + strconv.FormatInt(r.Period, 10) + `}}`)
}

// binding returns what the runtime gets: its own module around the way to the
// platform, which knows by the binding's name what to count and how far.
func (r *rateLimit) binding(name string) workerd.Binding {
	return workerd.Binding{Name: name, Kind: workerd.WrappedBinding, Wrapped: &workerd.Wrapped{
		Module: workerd.ModuleRateLimit,
		Inner: []workerd.Binding{
			{Name: "fetcher", Kind: workerd.FetcherBinding, Socket: workerd.RateLimitSocket},
			{Name: "config", Kind: workerd.JSONBinding, Text: `{"binding":` + quote(name) +
				`,"limit":` + strconv.FormatInt(r.Limit, 10) + `,"period":` + strconv.FormatInt(r.Period, 10) + `}`},
		},
	}}
}

// rateLimits returns the version's rate limiting bindings.
func (d *document) rateLimits() []RateLimit {
	var out []RateLimit
	for i := range d.Bindings {
		if r := d.Bindings[i].RateLimit; r != nil {
			out = append(out, RateLimit{Binding: d.Bindings[i].Name, Namespace: r.Namespace, Limit: r.Limit, Period: r.Period})
		}
	}
	return out
}
