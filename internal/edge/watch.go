package edge

import (
	enc "encoding/json"
	"net/http"
	"strings"

	"github.com/selvage-dev/selvage/internal/edge/wire"
	"github.com/selvage-dev/selvage/internal/tail"
)

// measure estimates what processor time a request takes that somebody watches.
func (c *call) measure(inst Instance) (end func()) {
	m, ok := inst.(tail.Meter)
	if !ok {
		return func() {}
	}
	c.watch.Measure(m)
	return c.watch.Measured
}

// endWatch tells those who watch what the request was and how it ended.
func (c *call) endWatch() {
	e := tail.Fetch{Request: c.watchedRequest(), RayID: strings.Clone(c.ray)}
	if c.status >= http.StatusContinue && c.status != wire.StatusClientGone {
		e.Response = &tail.Response{Status: c.status}
	}
	c.watch.End(e, c.outcome)
	c.watch = nil
}

// watchedRequest is the request as the worker saw it. Nothing in it is a view of a
// buffer.
func (c *call) watchedRequest() tail.Request {
	r := c.r
	h := make(map[string]string, len(r.Fields)+4)
	for i := range r.Fields {
		f := &r.Fields[i]
		if f.Drop || !c.passes(f.Known) {
			continue
		}
		name := strings.ToLower(f.Name)
		if before, ok := h[name]; ok {
			h[name] = before + ", " + f.Value
		} else {
			h[name] = strings.Clone(f.Value)
		}
	}
	h["host"], h["cf-ray"], h["x-forwarded-proto"] = strings.Clone(r.Host), c.ray, c.client.scheme
	if c.client.ip != "" {
		h["cf-connecting-ip"] = strings.Clone(c.client.ip)
	}
	cf, _ := enc.Marshal(map[string]string{"httpProtocol": r.Proto}) // texts always marshal
	return tail.Request{
		URL: c.client.scheme + "://" + r.Host + r.Target, Method: strings.Clone(r.Method),
		Headers: h, CF: cf, ClientIP: strings.Clone(c.client.ip),
	}
}
