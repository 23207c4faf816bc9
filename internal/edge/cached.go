package edge

import (
	"crypto/sha256"
	"encoding/binary"
	"net/http"
	"net/textproto"
	"slices"
	"strings"

	"github.com/selvage-dev/selvage/internal/cache"
	"github.com/selvage-dev/selvage/internal/edge/wire"
	"github.com/selvage-dev/selvage/internal/httpcache"
)

// Values of CF-Cache-Status.
const (
	cacheHit     = "HIT"
	cacheMiss    = "MISS"    // stored now
	cacheBypass  = "BYPASS"  // request or answer must not be cached
	cacheDynamic = "DYNAMIC" // not a request that is ever cached
)

// cacheTry is what a call does with the cache in front of its worker.
type cacheTry struct {
	status string
	key    cache.Key
	store  bool // the answer may be stored
	fill   *cache.Writer
	answer *cache.Response // of fill
	buf    []byte          // for keys
}

// reset forgets all but the buffer; a body that was not stored to its end is
// thrown away.
func (t *cacheTry) reset() {
	if t.fill != nil {
		t.fill.Abort()
	}
	*t = cacheTry{buf: t.buf}
}

// serveCached answers from the cache in front of the worker; false says that the
// worker has to answer.
func (c *call) serveCached() bool {
	t := &c.cache
	r := c.r
	if r.Method != http.MethodGet && r.Method != http.MethodHead || r.Upgrade != "" || r.Length != 0 {
		t.status = cacheDynamic
		return false
	}
	// What a credential may see is nobody else's, whatever the answer says.
	if c.requestHeader("Authorization") != "" {
		t.status = cacheBypass
		return false
	}
	t.key = c.cacheKey()
	hit, ok := c.s.cache.Get(c.target.Cache.Zone, t.key)
	if ok && !c.varies(hit.Vary) {
		c.sendCached(hit)
		return true
	}
	if ok {
		_ = hit.Close()
	}
	t.status = cacheBypass // until the answer may be stored
	t.store = r.Method == http.MethodGet && c.conditions() == nil
	return false
}

// cacheKey names what a request asks for. Fields that some apps take for the URL
// or the method are part of it: else one visitor could choose what another gets.
func (c *call) cacheKey() cache.Key {
	b := c.cache.buf[:0]
	add := func(s string) {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	add("edge")
	add(c.target.Cache.Version)
	add(c.client.scheme)
	add(c.host)
	add(c.r.Target)
	for i := range c.r.Fields {
		if f := &c.r.Fields[i]; poisons(f.Name) {
			add(strings.ToLower(f.Name))
			add(f.Value)
		}
	}
	c.cache.buf = b
	return sha256.Sum256(b)
}

func poisons(name string) bool {
	switch len(name) {
	case len("x-host"):
		return wire.Is(name, "x-host")
	case len("forwarded"):
		return wire.Is(name, "forwarded")
	case len("x-rewrite-url"):
		return wire.Is(name, "x-rewrite-url") || wire.Is(name, "x-http-method")
	case len("x-original-url"):
		return wire.Is(name, "x-original-url")
	case len("x-forwarded-host"):
		return wire.Is(name, "x-forwarded-host")
	case len("x-method-override"):
		return wire.Is(name, "x-method-override")
	case len("x-http-method-override"):
		return wire.Is(name, "x-http-method-override")
	}
	return false
}

// conditions returns the fields that ask for less than the whole answer; nil
// when there are none.
func (c *call) conditions() http.Header {
	var h http.Header
	for i := range c.r.Fields {
		f := &c.r.Fields[i]
		if (len(f.Name) > 3 && wire.Is(f.Name[:3], "if-")) || wire.Is(f.Name, "range") {
			if h == nil {
				h = make(http.Header)
			}
			h.Add(f.Name, f.Value)
		}
	}
	return h
}

// varies reports whether the request differs in what chose a stored answer.
func (c *call) varies(by []cache.Field) bool {
	for _, f := range by {
		if c.joined(f.Name) != f.Value {
			return true
		}
	}
	return false
}

// joined returns the values of a field of the request, as one list.
func (c *call) joined(name string) string {
	value, n := "", 0
	for i := range c.r.Fields {
		if f := &c.r.Fields[i]; wire.EqualFold(f.Name, name) {
			if n++; n == 1 {
				value = f.Value
			} else {
				value += ", " + f.Value
			}
		}
	}
	return value
}

// sendCached answers from the cache and closes hit.
func (c *call) sendCached(hit *cache.Hit) {
	defer func() { _ = hit.Close() }() // only read
	part := httpcache.Select(c.conditions(), hit.Status, hit.Field, hit.Length)
	fields := append(
		c.added[:0],
		wire.Field{Name: "Server", Value: "selvage", Known: wire.Server},
		wire.Field{Name: "CF-Ray", Value: c.ray, Known: wire.Platform},
		wire.Field{Name: "CF-Cache-Status", Value: cacheHit, Known: wire.Platform},
		wire.Field{Name: "Age", Value: httpcache.Age(hit.Stored, hit.Now)},
	)
	for _, f := range hit.Header {
		fields = append(fields, wire.Field{Name: f.Name, Value: f.Value, Known: wire.Classify(f.Name)})
	}
	if part.ContentRange != "" {
		fields = append(fields, wire.Field{Name: "Content-Range", Value: part.ContentRange})
	}
	c.added = fields
	length := part.Length
	if part.Status == http.StatusNotModified || part.Status == http.StatusNoContent {
		length = wire.None
	}
	c.writeHead(part.Status, fields, length)
	var err error
	switch {
	case c.r.Method == http.MethodHead || part.Length == 0:
	case hit.File != nil:
		if err = c.w.WriteFile(hit.File, part.Offset, part.Length); err == nil {
			c.bytesOut = part.Length
		}
	default:
		c.write(hit.Bytes[part.Offset : part.Offset+part.Length])
	}
	if err == nil {
		err = c.w.Finish(nil)
	}
	if err != nil && !clientsFault(err) {
		c.blame("send a cached answer", err)
	}
}

// beginFill lets the worker's answer flow into the cache if it may be stored, and
// says in its head what the cache did.
func (c *call) beginFill() {
	t := &c.cache
	for i := range c.head.Fields {
		if f := &c.head.Fields[i]; wire.Is(f.Name, "cf-cache-status") {
			f.Drop = true
		}
	}
	if t.store {
		c.judge()
	}
	c.head.Fields = append(c.head.Fields, wire.Field{Name: "CF-Cache-Status", Value: t.status, Known: wire.Platform})
}

// judge opens the entry if the answer may be stored. Only what says how long it
// is fresh is: a worker that says nothing meant nothing.
func (c *call) judge() {
	t := &c.cache
	h := make(http.Header, len(c.head.Fields))
	for i := range c.head.Fields {
		f := &c.head.Fields[i]
		name := textproto.CanonicalMIMEHeaderKey(f.Name)
		h[name] = append(h[name], f.Value)
	}
	now := c.s.cache.Now()
	verdict := httpcache.Judge(c.head.Status, h, now, httpcache.Options{Explicit: true})
	if verdict.Refused != "" {
		return
	}
	w, err := c.s.cache.NewWriter(c.target.Cache.Zone)
	if err != nil {
		c.blame("cache an answer", err)
		return
	}
	t.fill, t.status = w, cacheMiss
	t.answer = &cache.Response{Status: c.head.Status, Stored: now.Add(-verdict.Age), Expires: now.Add(verdict.TTL)}
	for i := range c.head.Fields {
		// Fields are views of a buffer that is used again.
		if f := &c.head.Fields[i]; !f.Drop && storable(f) {
			t.answer.Header = append(t.answer.Header, cache.Field{Name: strings.Clone(f.Name), Value: strings.Clone(f.Value)})
		}
	}
	vary := h["Vary"]
	if len(h["Content-Encoding"]) > 0 {
		vary = append(slices.Clip(vary), "Accept-Encoding")
	}
	for _, list := range vary {
		for list != "" {
			var name string
			if name, list = wire.NextToken(list); name != "" {
				t.answer.Vary = append(t.answer.Vary, cache.Field{Name: strings.Clone(name), Value: strings.Clone(c.joined(name))})
			}
		}
	}
}

// storable reports whether a field of an answer belongs to the answer rather than
// to the connection or to the moment.
func storable(f *wire.Field) bool {
	switch f.Known { //nolint:exhaustive // all others do
	case wire.Connection, wire.HopByHop, wire.TransferEncoding, wire.ContentLength, wire.Trailer, wire.Upgrade, wire.Server,
		wire.SetCookie, wire.Platform, wire.Internal, wire.InternalProto, wire.InternalDepth:
		return false
	}
	return !wire.Is(f.Name, "age")
}

// keep writes a part of the body into the cache.
func (t *cacheTry) keep(b []byte) {
	if _, err := t.fill.Write(b); err != nil { // too large, or no room: the visitor gets it nevertheless
		t.fill.Abort()
		t.fill = nil
	}
}

// endFill makes the answer, which has come to its end, an entry.
func (c *call) endFill() {
	t := &c.cache
	if t.fill == nil {
		return
	}
	if err := t.fill.Commit(t.key, t.answer); err != nil {
		c.blame("cache an answer", err)
	}
	t.fill = nil
}
