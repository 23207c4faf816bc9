package assets

import (
	"errors"
	"net/http"
)

// ErrHeaderTooLarge means that rules of _headers, filled in with a long path, gave more than an answer
// may have. The request deserves a 500, the rules a change.
var ErrHeaderTooLarge = errors.New("assets: the rules of _headers give too large a header for this path; use fewer placeholders in them")

// cacheControl makes browsers keep an asset and ask each time whether it is still the same.
const cacheControl = "public, max-age=0, must-revalidate"

// Respond returns the full answer to r, as the ASSETS binding gives it: redirects, html_handling, the
// asset with _headers applied, 304, 206 and 416, not_found_handling, 405, or a 404 without a body. A path
// so long that a redirect's Location would be longer than 16 KiB gets a 414.
//
// ETags are strong for a content as it is and weak for its encoded variants, which are served to
// whoever accepts them, never in part. Of ranges only a single one is served; a request for several
// gets the whole. There is no modification date, so If-Modified-Since and If-Unmodified-Since do
// not apply (RFC 9110, 13.1.3) and If-Range matches by ETag alone.
//
// The caller closes Body.File. Errors are those of Files, or ErrHeaderTooLarge.
func (s *Site) Respond(r *Request) (Response, error) {
	if s.cache != nil && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
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
			return Response{Status: http.StatusRequestURITooLong}, nil
		}
		res.Status = d.status
		res.Header = []Field{{"Location", d.location}}
	case methodNotAllowed:
		res.Status = http.StatusMethodNotAllowed
		res.Header = []Field{{"Allow", "GET, HEAD"}}
	case invalid:
		if errors.Is(d.err, errTargetLong) {
			return Response{Status: http.StatusRequestURITooLong}, nil
		}
	case unclaimed, missing, serveAsset:
	}
	if d.outside {
		return res, nil
	}
	if s.pages != nil {
		s.pages.respond(r, &d, &res)
	}
	var err error
	res.Header, err = s.headers.apply(res.Header, hostname(r), d.url.raw)
	return res, err
}
