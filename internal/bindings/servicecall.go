package bindings

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/selvage-dev/selvage/internal/tail"
	"github.com/selvage-dev/selvage/internal/workers"
	"github.com/selvage-dev/selvage/internal/workers/workerd"
)

// serviceCall is one fetch of a service binding.
type serviceCall struct {
	endpoint *workers.Endpoint
	// Of the answer: its status, 0 as long as there is none, and whether it stands
	// for an exception.
	status int
	thrown bool
}

type serviceCallKey struct{}

func callOf(ctx context.Context) *serviceCall {
	c, ok := ctx.Value(serviceCallKey{}).(*serviceCall)
	if !ok {
		panic("bindings: request did not come through fetch")
	}
	return c
}

// answered notes the head of the callee's answer.
func (c *serviceCall) answered(res *http.Response) {
	c.status, c.thrown = res.StatusCode, res.Header.Get(workerd.HeaderThrown) != ""
}

// outcome says how the call ended, in the words of trace items.
func (c *serviceCall) outcome(ctx context.Context) string {
	switch {
	case c.thrown:
		return "exception"
	case c.status != 0:
		return "ok"
	case context.Cause(ctx) != nil:
		return "canceled"
	}
	return "unknown" // the process ended
}

// told ends what those who watch the callee are told of the call.
func (c *serviceCall) told(inv *tail.Invocation, r *http.Request, id string) {
	inv.Measured()
	inv.End(c.event(r, id), c.outcome(r.Context()))
}

// event describes the call for those who watch the callee.
func (c *serviceCall) event(r *http.Request, id string) tail.Fetch {
	headers := make(map[string]string, len(r.Header)+1)
	for name, values := range r.Header {
		if !strings.HasPrefix(name, "Selvage-") {
			headers[strings.ToLower(name)] = strings.Join(values, ", ")
		}
	}
	headers["host"] = r.Host
	cf := json.RawMessage(r.Header.Get(workerd.HeaderCF))
	if !json.Valid(cf) {
		cf = nil
	}
	e := tail.Fetch{
		Request: tail.Request{
			URL: scheme(r) + "://" + r.Host + r.URL.RequestURI(), Method: r.Method, Headers: headers, CF: cf,
			ClientIP: r.Header.Get("Cf-Connecting-Ip"),
		},
		RayID: id,
	}
	if c.status != 0 && !c.thrown {
		e.Response = &tail.Response{Status: c.status}
	}
	return e
}
