package assets

import (
	"net/http"
	"slices"
	"strings"
)

// PagesConfig is what a Pages deployment brings beside its files. The zero value is valid.
type PagesConfig struct {
	// Headers, Redirects and Routes are the raw texts of _headers, _redirects and _routes.json, "" for none.
	Headers, Redirects, Routes string
	// Guarded says that there is code in front of the files. It knows a path by its text, so a file is given at one
	// spelling only; who asks for it by another is sent there.
	Guarded bool
}

// pagesPolicy is how a Pages site answers where it differs from the assets of a Worker.
type pagesPolicy struct {
	routes  *Routes // nil: every request goes to the function, if there is one
	guarded bool
	// general are the fields every answer begins with; rules may change them.
	general []Field
}

// NewPages builds the Site of a Pages deployment. It keeps m, which must not change afterwards. The error is a
// *ManifestError, as from New, or a *RoutesError. Lines of _headers and _redirects that cannot be used are not
// errors; see Warnings.
func NewPages(m Manifest, c PagesConfig, files Files, options ...Option) (*Site, error) {
	if files == nil {
		return nil, errNoFiles
	}
	s := &Site{manifest: m, files: files, base: "/", pages: &pagesPolicy{guarded: c.Guarded, general: []Field{
		{"Access-Control-Allow-Origin", "*"},
		{"Referrer-Policy", "strict-origin-when-cross-origin"},
	}}}
	if c.Routes != "" {
		var err error
		if s.pages.routes, err = ParseRoutes(c.Routes); err != nil {
			return nil, err
		}
	}
	if err := s.init(c.Headers, c.Redirects, options); err != nil {
		return nil, err
	}
	return s, nil
}

// Preview returns the Pages site s as previews have it: search engines are told not to list it. It shares all
// but its ready answers with s.
func (s *Site) Preview() *Site {
	p, pages := *s, *s.pages
	pages.general = slices.Concat(pages.general, []Field{{"X-Robots-Tag", "noindex"}})
	p.pages = &pages
	p.enterCache()
	return &p
}

// route says who answers: the function where _routes.json says so, which without one it does everywhere.
func (p *pagesPolicy) route(r *Request, hasWorker bool) Action { //nolint:revive // the caller knows of the function, a Site does not
	if hasWorker && (p.routes == nil || p.routes.Match(parsePath(r.Path).raw)) {
		return RunWorker
	}
	return ServeAny
}

// decidePages is decide for a Pages site, which answers every request in some way.
func (s *Site) decidePages(r *Request, d *decision) {
	at, rewritten := s.redirect(r, d)
	if d.kind == redirected || d.kind == invalid {
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		d.kind = methodNotAllowed
		return
	}
	found := s.resolvePages(at.decoded)
	switch {
	case found.moved:
		d.kind, d.status, d.location = redirected, http.StatusPermanentRedirect, oneSlash(encodePath(found.redirect))+search(r.RawQuery)
	case s.pages.guarded && !rewritten && found.status == http.StatusOK && !found.fallback && at.disguised(r.Path):
		d.kind, d.status, d.location = redirected, http.StatusPermanentRedirect, oneSlash(plainPath(at.decoded))+search(r.RawQuery)
	case found.status != 0:
		d.kind, d.status, d.entry = serveAsset, found.status, found.entry
		// A path that is written in another way than the usual one gets the same, but is not worth keeping.
		d.own = !rewritten && !found.fallback && at.canonical
	default:
		d.kind = missing
	}
}

// resolvePages looks a path up: foo.html is served at /foo, foo/index.html at /foo/, and what is not there is the
// nearest 404.html up the tree or, on a site without any, the root's index.html.
func (s *Site) resolvePages(path string) intent {
	r := resolver{site: s, path: path}
	if !r.pages() {
		r.notFound = NotFoundPage
		if r.fallback(); !r.out.found() {
			r.notFound = SinglePageApplication
			r.fallback()
		}
	}
	return r.out
}

func (r *resolver) pages() bool {
	if dir, ok := strings.CutSuffix(r.path, "/"); ok {
		if r.serve(r.path, "index.html") {
			return true
		}
		if stem, ok := strings.CutSuffix(r.path, "/index/"); ok {
			return r.send(stem + "/")
		}
		if _, ok := r.site.lookup(dir, ".html"); ok {
			return r.send(dir)
		}
		return false
	}
	if r.serve(r.path, "") {
		return r.withoutHTML()
	}
	if stem, ok := strings.CutSuffix(r.path, "/index"); ok {
		return r.send(stem + "/")
	}
	if r.serve(r.path, ".html") {
		return true
	}
	if _, ok := r.site.lookup(r.path, "/index.html"); ok {
		return r.send(r.path + "/")
	}
	return false
}

// withoutHTML sends a visitor who asks for foo.html by its name on to where it is served, unless another file is
// there.
func (r *resolver) withoutHTML() bool {
	stem, ok := strings.CutSuffix(r.path, ".html")
	if !ok || stem == "/" {
		return true
	}
	if dir, ok := strings.CutSuffix(stem, "/index"); ok {
		return r.send(dir + "/")
	}
	if _, taken := r.site.lookup(stem, ""); taken {
		return true
	}
	return r.send(stem)
}

func (r *resolver) send(path string) bool {
	r.out = intent{redirect: path, moved: true}
	return true
}

// fields returns the fields of an answer before the rules are applied.
func (p *pagesPolicy) fields(contentType string) []Field {
	out := make([]Field, 0, 12)
	if contentType != "" {
		out = append(out, Field{"Content-Type", contentType}, Field{"X-Content-Type-Options", "nosniff"})
	}
	return append(out, p.general...)
}

// pagesType completes the type that an upload names.
func pagesType(t string) string {
	switch {
	case t == "" || t == "application/null":
		return "application/octet-stream"
	case strings.HasPrefix(t, "text/") && !strings.Contains(t, ";"):
		return t + "; charset=utf-8"
	}
	return t
}

// respond completes an answer that is not an asset's.
func (p *pagesPolicy) respond(r *Request, d *decision, res *Response) {
	contentType := ""
	switch d.kind {
	case methodNotAllowed, unclaimed, serveAsset:
	case redirected:
		if d.byRule && d.status != http.StatusPermanentRedirect {
			contentType = "text/plain; charset=utf-8"
			text := []byte("Redirecting to " + d.location)
			res.Length = int64(len(text))
			if r.Method != http.MethodHead {
				res.Body = Body{Bytes: text, Length: res.Length}
			}
		}
	case missing, invalid:
		res.Header = append(res.Header, Field{"Cache-Control", "no-store"})
	}
	res.Header = slices.Concat(p.fields(contentType), res.Header)
}
