package assets

import (
	"errors"
	"net/http"
	"strings"
)

// Site answers requests for one version's assets. It is immutable and safe for concurrent use.
type Site struct {
	manifest Manifest
	files    Files
	// longest is the length of the longest path, beyond which no lookup can succeed.
	longest int

	htmlHandling string
	notFound     string
	base         string // "/" or "/…/"
	navigation   bool

	always                  bool
	workerFirst, assetFirst []glob

	headers   *HeaderRules
	redirects *RedirectRules
	limits    RuleLimits
	warnings  []Warning

	pages *pagesPolicy // nil for the assets of a Worker

	cache *Cache
	id    uint64 // in cache
}

var errNoFiles = errors.New("assets: new site: no Files given")

// Option changes how New builds a Site.
type Option func(*Site)

// WithCache keeps small bodies and ready answers in c, which any number of Sites may share. Without
// a cache every answer is built anew and its body read from its file.
func WithCache(c *Cache) Option {
	return func(s *Site) { s.cache = c }
}

// WithRuleLimits bounds the rules of _headers and _redirects otherwise than the platform does.
func WithRuleLimits(l RuleLimits) Option {
	return func(s *Site) { s.limits = l }
}

// New builds the Site of a Worker's version. It keeps m, which must not change afterwards. The error is a *ManifestError of
// the default Limits but for the number and size of files, which are the uploader's business, or a
// *ConfigError. Lines of _headers and _redirects that cannot be used are not errors; see Warnings.
func New(m Manifest, c Config, files Files, options ...Option) (*Site, error) {
	if files == nil {
		return nil, errNoFiles
	}
	s := &Site{manifest: m, files: files, navigation: c.NavigationPrefersAssets, always: c.RunWorkerFirst.Always}
	var err error
	if s.htmlHandling, err = handling("html_handling", c.HTMLHandling, AutoTrailingSlash, ForceTrailingSlash, DropTrailingSlash, NoHTMLHandling); err != nil {
		return nil, err
	}
	if s.notFound, err = handling("not_found_handling", c.NotFoundHandling, NoNotFoundHandling, SinglePageApplication, NotFoundPage); err != nil {
		return nil, err
	}
	if s.base, err = cleanBasePath(c.BasePath); err != nil {
		return nil, err
	}
	if s.workerFirst, s.assetFirst, err = c.RunWorkerFirst.compile(); err != nil {
		return nil, err
	}
	if err := s.init(c.Headers, c.Redirects, options); err != nil {
		return nil, err
	}
	return s, nil
}

// init does what all Sites have in common.
func (s *Site) init(headers, redirects string, options []Option) error {
	for _, option := range options {
		option(s)
	}
	if err := s.manifest.Validate(Limits{Files: len(s.manifest) + 1, FileSize: 1 << 62}); err != nil {
		return err
	}
	for path := range s.manifest {
		s.longest = max(s.longest, len(path))
	}
	var warned []Warning
	s.headers, s.warnings = ParseHeaders(headers, s.limits)
	s.redirects, warned = ParseRedirects(redirects, s.htmlHandling, s.limits)
	s.warnings = append(s.warnings, warned...)
	s.enterCache()
	return nil
}

// enterCache keeps the answers of s apart from those of other sites.
func (s *Site) enterCache() {
	if s.cache != nil {
		s.id = s.cache.nextSite.Add(1)
	}
}

// Warnings returns what was wrong with lines of _headers and _redirects. Read only.
func (s *Site) Warnings() []Warning { return s.warnings }

// Len returns the number of assets.
func (s *Site) Len() int { return len(s.manifest) }

// Route says who answers r: the worker where run_worker_first says so, else the assets where one of
// them, a redirect or not_found_handling applies, else the worker if there is one.
//
// With a worker, not_found_handling applies only if run_worker_first is a list, or to requests for a
// page in the sense of Config.NavigationPrefersAssets.
func (s *Site) Route(r *Request, hasWorker bool) Action { //nolint:revive // the caller knows of the worker, a Site does not
	if s.pages != nil {
		return s.pages.route(r, hasWorker)
	}
	if !hasWorker {
		if d := s.decide(r, s.notFound); d.kind == unclaimed {
			return NotFound
		}
		return Serve
	}
	if s.workerFirst != nil {
		path := parsePath(r.Path).raw
		if matchAny(s.assetFirst, path) {
			return Serve
		}
		if matchAny(s.workerFirst, path) {
			return RunWorker
		}
	}
	if s.always {
		return RunWorker
	}
	if s.cache != nil && s.cache.get(s.id, r.Path) != nil {
		return Serve
	}
	notFound := NoNotFoundHandling
	if s.workerFirst != nil || s.navigation && r.Header("Sec-Fetch-Mode") == "navigate" {
		notFound = s.notFound
	}
	if d := s.decide(r, notFound); d.kind == unclaimed {
		return RunWorker
	}
	return Serve
}

func matchAny(globs []glob, path string) bool {
	for _, g := range globs {
		if g.match(path) {
			return true
		}
	}
	return false
}

type decisionKind int

const (
	// The assets have no answer of their own.
	unclaimed decisionKind = iota
	// A rule of _redirects rewrote the path to an asset that is not there.
	missing
	redirected
	methodNotAllowed
	serveAsset
	// A rule of _redirects gives a redirect that cannot be made.
	invalid
)

// decision is what a request leads to before any content is looked at.
type decision struct {
	kind decisionKind
	// url is the request's path, before any rewriting.
	url urlPath
	// outside says that the path is not under the base path, where rules do not apply either.
	outside  bool
	status   int
	location string
	entry    Entry
	// own says that the path is the one its asset is served at, by no rewriting and no fallback.
	own bool
	// byRule says that a rule of _redirects made the redirect.
	byRule bool
	err    error
}

func (s *Site) decide(r *Request, notFound string) decision {
	d := decision{url: parsePath(r.Path)}
	if s.pages != nil {
		s.decidePages(r, &d)
		return d
	}
	if _, ok := within(d.url.decoded, s.base); !ok {
		d.outside = true
		return d
	}
	at, rewritten := s.redirect(r, &d)
	if d.kind == redirected || d.kind == invalid {
		return d
	}
	path, ok := within(at.decoded, s.base)
	if !ok {
		return d
	}
	var found intent
	if to, ok := s.baseRoot(at.decoded); ok && !rewritten {
		found = intent{redirect: to, moved: true}
	} else {
		found = s.resolve(path, notFound)
	}
	switch {
	case !found.found():
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		d.kind = methodNotAllowed
	case found.moved:
		d.kind, d.status, d.location = redirected, 307, encodePath(withBase(found.redirect, s.base))+search(r.RawQuery)
	case !at.canonical:
		d.kind, d.status, d.location = redirected, 307, encodePath(at.decoded)+search(r.RawQuery)
	default:
		d.kind, d.status, d.entry = serveAsset, found.status, found.entry
		d.own = !rewritten && !found.fallback
	}
	return d
}

// redirect applies _redirects. It leaves the answer in d, or returns the path to look up and whether that
// is another one than the request's.
func (s *Site) redirect(r *Request, d *decision) (at urlPath, rewritten bool) {
	var buf [8]binding
	rule, bound := s.redirects.find(d.url.raw, buf[:0])
	if rule == nil {
		return d.url, false
	}
	to, err := rule.to.resolve(r, bound)
	if err != nil {
		d.kind, d.err = invalid, err
		return d.url, false
	}
	if rule.status != 200 {
		d.kind, d.status, d.location, d.byRule = redirected, rule.status, to.location(r), true
		return d.url, false
	}
	d.kind = missing // Unless there is something.
	return decodeURLPath(to.path), true
}

// location writes a destination as a Location, which keeps the request's query unless it has its own.
func (to *destination) location(r *Request) string {
	query := to.query
	if query == "" {
		query = search(r.RawQuery)
	}
	return to.origin + to.path + query + to.fragment
}

// hostname returns the request's host without its port, in lower case.
func hostname(r *Request) string {
	h := r.Host
	if i := strings.LastIndexByte(h, ':'); i >= 0 && !strings.HasSuffix(h, "]") {
		h = h[:i]
	}
	return strings.ToLower(h)
}
