package edge

import (
	"net/http"

	"github.com/selvage-dev/selvage/internal/assets"
	"github.com/selvage-dev/selvage/internal/edge/wire"
)

// serveAsset answers from the version's static assets; false says that its worker
// has to answer.
func (c *call) serveAsset() bool {
	r := c.r
	path, query := r.Path()
	c.asset = assets.Request{
		Method: r.Method, Scheme: c.client.scheme, Host: r.Host,
		Path: path, RawQuery: query, Header: c.header,
	}
	hasWorker := c.target.Worker != nil
	action := c.target.Site.Route(&c.asset, hasWorker)
	if action == assets.RunWorker && hasWorker {
		return false
	}
	if action != assets.ServeAny && r.Method != http.MethodGet && r.Method != http.MethodHead {
		if hasWorker {
			return false
		}
		c.page(problemAssetMethod())
		return true
	}
	if action == assets.NotFound || action == assets.RunWorker {
		c.page(problemNothingThere())
		return true
	}
	resp, err := c.target.Site.Respond(&c.asset)
	if err != nil {
		c.blame("serve a static asset", err)
		c.page(problemInternal())
		return true
	}
	c.count.assets.Add(1)
	c.sendAsset(&resp)
	return true
}

// sendAsset writes resp, whose file it closes.
func (c *call) sendAsset(resp *assets.Response) {
	c.sendHints(resp.Hints)
	fields := append(
		c.added[:0],
		wire.Field{Name: "Server", Value: "selvage", Known: wire.Server},
		wire.Field{Name: "CF-Ray", Value: c.ray, Known: wire.Platform},
	)
	for _, f := range resp.Header {
		known := wire.Classify(f.Name)
		fields = append(fields, wire.Field{
			Name: f.Name, Value: f.Value, Known: known,
			Drop: known == wire.SetCookie && len(c.s.suffixes) > 0 && sharedCookie(f.Value, c.s.suffixes),
		})
	}
	c.added = fields
	length := resp.Length
	if length < 0 {
		length = wire.None
	}
	c.writeHead(resp.Status, fields, length)
	f := resp.Body.File
	if f != nil {
		defer func() { _ = f.Close() }() // only read
	}
	var err error
	switch {
	case c.r.Method == http.MethodHead:
	case f != nil:
		if err = c.w.WriteFile(f, resp.Body.Offset, resp.Body.Length); err == nil {
			c.bytesOut = resp.Body.Length
		}
	case len(resp.Body.Bytes) > 0:
		c.write(resp.Body.Bytes)
	}
	if err == nil {
		err = c.w.Finish(nil)
	}
	if err != nil && !clientsFault(err) {
		c.blame("send a static asset", err)
	}
}

// sendHints sends early hints (RFC 8297). Clients of HTTP/1.1 are not sent any: among them are many that take
// the first answer for the last.
func (c *call) sendHints(links []string) {
	if len(links) == 0 || c.r.Proto != "HTTP/2" {
		return
	}
	fields := make([]wire.Field, len(links))
	for i, link := range links {
		fields[i] = wire.Field{Name: "Link", Value: link}
	}
	_ = c.w.Inform(http.StatusEarlyHints, fields) // A connection that broke says so again.
}

// requestHeader is the header function of assets.Request.
func (c *call) requestHeader(name string) string {
	for i := range c.r.Fields {
		if f := &c.r.Fields[i]; wire.EqualFold(f.Name, name) {
			return f.Value
		}
	}
	return ""
}
