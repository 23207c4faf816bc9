package assets

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
)

// answer is what is known of the answer to GET of a path that an asset is served at.
type answer struct {
	path   string // urlPath.raw
	entry  Entry
	status int
	// encode says that encoded variants may be served.
	encode bool
	// links are Link values found in the content; hints are those for a 103.
	links, hints []string
	// headers are the fields for each encoding, made when first needed.
	headers [numEncodings]atomic.Pointer[[]Field]
	// item is the answer's place in the cache, if it has one.
	item *cacheItem
}

// newAnswer prepares the answer for an asset and keeps it in the cache if it is the one for its path:
// so the cache never holds more answers for a Site than that has assets.
func (s *Site) newAnswer(r *Request, d *decision) (*answer, error) {
	a := &answer{path: d.url.raw, entry: d.entry, status: d.status}
	a.encode = d.entry.Size >= MinCompressSize && Compressible(d.entry.ContentType)
	if err := s.findLinks(a); err != nil {
		return nil, err
	}
	header, err := s.buildHeader(r, a, identity, cacheControl)
	if err != nil {
		return nil, err
	}
	if a.encode {
		if _, done := findField(header, "Content-Encoding"); done {
			// A rule of _headers says that the file is encoded already.
			a.encode = false
			if header, err = s.buildHeader(r, a, identity, cacheControl); err != nil {
				return nil, err
			}
		}
	}
	a.headers[identity].Store(&header)
	if a.status == http.StatusOK && s.pages != nil {
		a.hints = hintsOf(header)
	}
	if s.cache == nil || !d.own || s.headers.byHost || r.Path != a.path {
		return a, nil
	}
	a.path = strings.Clone(a.path)
	a.item = &cacheItem{key: cacheKey{s.id, a.path}, answer: a, cost: headerCost(header)}
	return s.cache.put(a.item).answer, nil
}

// header returns the fields for an encoding as they go to most visitors.
func (s *Site) header(r *Request, a *answer, e encoding) ([]Field, error) {
	if h := a.headers[e].Load(); h != nil {
		return *h, nil
	}
	header, err := s.buildHeader(r, a, e, cacheControl)
	if err != nil {
		return nil, err
	}
	if a.headers[e].CompareAndSwap(nil, &header) && a.item != nil {
		s.cache.grow(a.item, headerCost(header))
	}
	return header, nil
}

// buildHeader makes the fields of an answer. Rules may replace the Cache-Control given.
func (s *Site) buildHeader(r *Request, a *answer, e encoding, control string) ([]Field, error) {
	fields := s.ownFields(a)
	if s.pages == nil || a.status == http.StatusOK {
		tag := `"` + a.entry.Hash + `"`
		if e != identity {
			tag = "W/" + tag
		}
		fields = append(fields, Field{"Etag", tag})
	} else {
		control = "no-store"
	}
	if control != "" {
		fields = append(fields, Field{"Cache-Control", control})
	}
	if e != identity {
		fields = append(fields, Field{"Content-Encoding", e.String()})
	} else if a.status == http.StatusOK {
		fields = append(fields, Field{"Accept-Ranges", "bytes"})
	}
	if len(a.links) > 0 {
		fields = append(fields, Field{"Link", strings.Join(a.links, ", ")})
	}
	fields, err := s.headers.apply(fields, hostname(r), a.path)
	if err != nil || !a.encode {
		return fields, err
	}
	// Whatever a rule says of Vary, caches must keep the encodings apart.
	if v, ok := findField(fields, "Vary"); !ok || !strings.Contains(v, "*") && !strings.Contains(strings.ToLower(v), "accept-encoding") {
		fields = appendField(fields, Field{"Vary", "Accept-Encoding"})
	}
	return fields, nil
}

// ownFields returns the fields that are there before anything is known of the answer but what it holds.
func (s *Site) ownFields(a *answer) []Field {
	if s.pages != nil {
		return s.pages.fields(pagesType(a.entry.ContentType))
	}
	fields := make([]Field, 0, 8)
	if t := a.entry.ContentType; t != "" && t != "application/null" {
		fields = append(fields, Field{"Content-Type", t})
	}
	return fields
}

// findLinks looks into a page of a Pages site for what it will make a browser load.
func (s *Site) findLinks(a *answer) error {
	if s.pages == nil || a.status != http.StatusOK || a.entry.Size == 0 || !isHTML(a.entry.ContentType) {
		return nil
	}
	c := s.content(&a.entry)
	links := c.links.Load()
	if links == nil {
		head, err := s.readHead(&a.entry)
		if err != nil {
			return fmt.Errorf("read page %s for its links: %w", a.entry.Blob, err)
		}
		found := pageLinks(head)
		links = &found
		c.links.Store(links)
	}
	a.links = *links
	return nil
}

func headerCost(fields []Field) int64 {
	var n int64
	for _, f := range fields {
		n += int64(len(f.Value)) + 32
	}
	return n
}

// render answers r, which is GET or HEAD, from a.
func (s *Site) render(r *Request, a *answer) (Response, error) {
	ranges := r.Header("Range")
	if a.status == http.StatusOK {
		if list := r.Header("If-Match"); list != "" && !listsStrongTag(list, a.entry.Hash) {
			return Response{Status: http.StatusPreconditionFailed}, nil
		}
	}
	v, e, err := s.choose(r, a, ranges)
	if err != nil {
		return Response{}, err
	}
	header, err := s.header(r, a, e)
	if err == nil && (ranges != "" || r.Header("Authorization") != "") {
		// As on the platform, such an answer does not say how to cache it.
		header, err = s.buildHeader(r, a, e, "")
	}
	if err != nil {
		return Response{}, err
	}
	if list := r.Header("If-None-Match"); list != "" && (a.status == http.StatusOK || s.pages == nil) && listsTag(list, a.entry.Hash) {
		return Response{Status: http.StatusNotModified, Header: header, Length: -1}, nil
	}
	res := Response{Status: a.status, Header: header, Length: v.size, Hints: a.hints}
	start := int64(0)
	if ranges != "" && r.Method == http.MethodGet && a.status == http.StatusOK && s.rangeApplies(r, a) {
		start = res.narrow(ranges, v.size)
	}
	if r.Method == http.MethodHead || res.Length == 0 {
		return res, nil
	}
	res.Body, err = s.body(v, start, res.Length)
	return res, err
}

// rangeApplies evaluates If-Range (RFC 9110, 13.1.5): only a strong ETag of this very content will do.
func (*Site) rangeApplies(r *Request, a *answer) bool {
	tag := r.Header("If-Range")
	return tag == "" || tag[0] == '"' && listsStrongTag(tag, a.entry.Hash)
}

// narrow makes an answer with the whole content one with a range of it, and returns where that starts.
func (res *Response) narrow(field string, size int64) (start int64) {
	start, length, kind := parseRange(field, size)
	total := strconv.FormatInt(size, 10)
	switch kind {
	case partRange:
		span := strconv.FormatInt(start, 10) + "-" + strconv.FormatInt(start+length-1, 10)
		res.Status = http.StatusPartialContent
		res.Header = append(slices.Clip(res.Header), Field{"Content-Range", "bytes " + span + "/" + total})
		res.Length = length
	case unsatisfiable:
		res.Status = http.StatusRequestedRangeNotSatisfiable
		res.Header = []Field{{"Content-Range", "bytes */" + total}}
		res.Length = 0
	case wholeRange:
	}
	return start
}

// choose picks the variant to send: an encoded one for a visitor who accepts it, if it is there.
func (s *Site) choose(r *Request, a *answer, ranges string) (*variant, encoding, error) {
	c := s.content(&a.entry)
	if a.encode && ranges == "" && !r.Identity {
		accepted := parseAcceptEncoding(r.Header("Accept-Encoding"))
		for e := accepted.best(); e != identity; e = accepted.best() {
			v, err := s.variant(c, e)
			if v != nil || err != nil {
				return v, e, err
			}
		}
	}
	v, err := s.variant(c, identity)
	return v, identity, err
}
