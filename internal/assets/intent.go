package assets

import "strings"

// intent is what a path of the asset tree leads to.
type intent struct {
	entry Entry
	// status is 200 or 404, or 0 when there is nothing.
	status int
	// redirect is where to send the visitor instead, when moved is set.
	redirect string
	moved    bool
	// fallback says that entry is the answer of not_found_handling.
	fallback bool
}

func (i *intent) found() bool { return i.status != 0 || i.moved }

// resolver looks one path up by the rules of html_handling and not_found_handling
// (https://developers.cloudflare.com/workers/static-assets/routing/advanced/html-handling/).
type resolver struct {
	site *Site
	path string
	// notFound is the not_found_handling to apply.
	notFound string
	// still forbids redirects. It is set while looking at where a redirect would lead.
	still bool
	out   intent
}

func (s *Site) resolve(path, notFound string) intent {
	r := resolver{site: s, path: path, notFound: notFound}
	return r.run()
}

func (r *resolver) run() intent {
	var ok bool
	switch r.site.htmlHandling {
	case AutoTrailingSlash:
		ok = r.auto()
	case ForceTrailingSlash:
		ok = r.force()
	case DropTrailingSlash:
		ok = r.drop()
	default:
		ok = r.serve(r.path, "")
	}
	if !ok {
		r.fallback()
	}
	return r.out
}

// auto serves foo.html at /foo and foo/index.html at /foo/.
func (r *resolver) auto() bool {
	stem, end := splitHTML(r.path)
	switch end {
	case "/index":
		if r.serve(r.path, "") || r.move(stem, "/index.html", stem+"/") || r.move(stem, ".html", stem) {
			return true
		}
	case "/index.html":
		if r.move(r.path, "", stem+"/") || r.move(stem, ".html", stem) {
			return true
		}
	case "/":
		if r.serve(r.path, "index.html") || r.move(stem, ".html", stem) {
			return true
		}
	case ".html":
		if r.move(r.path, "", stem) || r.move(stem, "/index.html", stem+"/") {
			return true
		}
	}
	return r.serve(r.path, "") || r.serve(r.path, ".html") || r.move(r.path, "/index.html", r.path+"/")
}

// force serves both at /foo/.
func (r *resolver) force() bool {
	stem, end := splitHTML(r.path)
	switch end {
	case "/index":
		if r.serve(r.path, "") || r.move(stem, "/index.html", stem+"/") || r.move(stem, ".html", stem+"/") {
			return true
		}
	case "/index.html":
		if r.move(r.path, "", stem+"/") || r.move(stem, ".html", stem+"/") {
			return true
		}
	case "/":
		if r.serve(r.path, "index.html") || r.serve(stem, ".html") {
			return true
		}
	case ".html":
		if r.move(r.path, "", stem+"/") || r.serve(r.path, "") || r.move(stem, "/index.html", stem+"/") {
			return true
		}
	}
	return r.serve(r.path, "") || r.move(r.path, ".html", r.path+"/") || r.move(r.path, "/index.html", r.path+"/")
}

// drop serves both at /foo, and the root's index.html at /.
func (r *resolver) drop() bool {
	stem, end := splitHTML(r.path)
	root := stem == "" && end != ".html"
	switch {
	case end == "/" && root:
		if r.serve("/index.html", "") {
			return true
		}
	case end != "" && root:
		if end == "/index" && r.serve(r.path, "") || r.move("/index.html", "", "/") {
			return true
		}
	case end == "/index":
		if r.serve(r.path, "") || r.move(stem, ".html", stem) || r.move(stem, "/index.html", stem) {
			return true
		}
	case end == "/index.html":
		if r.move(r.path, "", stem) || r.serve(r.path, "") || r.move(stem, ".html", stem) {
			return true
		}
	case end == "/":
		if r.move(stem, ".html", stem) || r.move(stem, "/index.html", stem) {
			return true
		}
	case end == ".html":
		if r.move(r.path, "", stem) || r.move(stem, "/index.html", stem) {
			return true
		}
	}
	return r.serve(r.path, "") || r.serve(r.path, ".html") || r.serve(r.path, "/index.html")
}

// splitHTML takes off the end of a path that html_handling cares about.
func splitHTML(path string) (stem, end string) {
	for _, end := range [...]string{"/index", "/index.html", "/", ".html"} {
		if stem, ok := strings.CutSuffix(path, end); ok {
			return stem, end
		}
	}
	return path, ""
}

// serve takes the asset dir+name if there is one.
func (r *resolver) serve(dir, name string) bool {
	e, ok := r.site.lookup(dir, name)
	if ok {
		r.out = intent{entry: e, status: 200}
	}
	return ok
}

// move redirects to dest if the asset dir+name exists and dest, which is no asset itself, leads to
// that same content without a further redirect.
func (r *resolver) move(dir, name, dest string) bool {
	if r.still {
		return false
	}
	e, ok := r.site.lookup(dir, name)
	if !ok {
		return false
	}
	if _, taken := r.site.lookup(dest, ""); taken {
		return false
	}
	there := resolver{site: r.site, path: dest, notFound: r.notFound, still: true}
	if got := there.run(); got.status == 0 || got.entry.Hash != e.Hash {
		return false
	}
	r.out = intent{redirect: dest, moved: true}
	return true
}

// fallback applies not_found_handling: the root's index.html, or the nearest 404.html up the tree.
func (r *resolver) fallback() {
	switch r.notFound {
	case SinglePageApplication:
		if r.serve("/index.html", "") {
			r.out.fallback = true
		}
	case NotFoundPage:
		for dir := r.path; dir != ""; {
			dir = dir[:max(strings.LastIndexByte(dir, '/'), 0)]
			if r.serve(dir, "/404.html") {
				r.out.status, r.out.fallback = 404, true
				return
			}
		}
	}
}

// lookup finds the asset dir+name without joining the two on the heap.
func (s *Site) lookup(dir, name string) (Entry, bool) {
	if name == "" {
		e, ok := s.manifest[dir]
		return e, ok
	}
	n := len(dir) + len(name)
	if n > s.longest {
		return Entry{}, false
	}
	var buf [256]byte
	key := append(append(buf[:0], dir...), name...)
	e, ok := s.manifest[string(key)]
	return e, ok
}

// within takes the base path, "/" or "/…/", off a decoded path.
func within(path, base string) (string, bool) {
	if base == "/" {
		return path, true
	}
	if path == base[:len(base)-1] {
		return "/", true
	}
	if !strings.HasPrefix(path, base) {
		return "", false
	}
	return path[len(base)-1:], true
}

// withBase puts the base path before a path of the asset tree. The empty path stands for the base
// without its slash.
func withBase(path, base string) string {
	if base == "/" {
		return path
	}
	return base[:len(base)-1] + path
}

// baseRoot returns the redirect between a base path with and without its slash, if html_handling
// wants one and there is an index.html at its root.
func (s *Site) baseRoot(decoded string) (string, bool) {
	if s.base == "/" {
		return "", false
	}
	var to string
	switch {
	case s.htmlHandling == NoHTMLHandling:
		return "", false
	case s.htmlHandling == DropTrailingSlash && decoded == s.base:
		to = ""
	case s.htmlHandling != DropTrailingSlash && decoded == s.base[:len(s.base)-1]:
		to = "/"
	default:
		return "", false
	}
	_, ok := s.lookup("/index.html", "")
	return to, ok
}
