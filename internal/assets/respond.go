package assets

import (
	"errors"
	"net/http"
)

// ErrHeaderTooLarge means that rules of _headers or _redirects, filled in with a long path, gave more
// than an answer may have. The request deserves a 500 or 414, the rules a change.
var ErrHeaderTooLarge = errors.New("assets: the rules of _headers or _redirects give too large a header for this path; use fewer placeholders")

// cacheControl makes browsers keep an asset and ask each time whether it is still the same.
const cacheControl = "public, max-age=0, must-revalidate"

// Respond returns the full answer to r, as the ASSETS binding gives it: redirects, html_handling, the
// asset with _headers applied, 304, 206 and 416, not_found_handling, 405, or a 404 without a body.
//
// ETags are strong for a content as it is and weak for its encoded variants, which are served to
// whoever accepts them, never in part. Of ranges only a single one is served; a request for several
// gets the whole. There is no modification date, so If-Modified-Since and If-Unmodified-Since do
// not apply (RFC 9110, 13.1.3) and If-Range matches by ETag alone.
//
// The caller closes Body.File. Errors are those of Files, or ErrHeaderTooLarge.
func (s *Site) Respond(r *Request) (Response, error) {
	if s.cache != nil && (r.Method == "GET" || r.Method == "HEAD") {
		if it := s.cache.get(s.id, r.Path); it != nil {
			return s.render(r, it.answer)
		}
	}
	d := s.decide(r, s.notFound)
	if d.kind == serveAsset {
		a, err := s.newAnswer(r, &d)
		if err != nil {
			return Response{}, err
		}
		return s.render(r, a)
	}
	res := Response{Status: http.StatusNotFound}
	switch d.kind {
	case redirected:
		if len(d.location) > maxLocation {
			return Response{}, ErrHeaderTooLarge
		}
		res.Status = d.status
		res.Header = []Field{{"Location", d.location}}
	case methodNotAllowed:
		res.Status = http.StatusMethodNotAllowed
		res.Header = []Field{{"Allow", "GET, HEAD"}}
	case invalid:
		if errors.Is(d.err, ErrHeaderTooLarge) {
			return Response{}, d.err
		}
	case unclaimed, missing, serveAsset:
	}
	if d.outside {
		return res, nil
	}
	var err error
	res.Header, err = s.headers.apply(res.Header, hostname(r), d.url.raw)
	return res, err
}

