package pages

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/selvage-dev/selvage/internal/assets"
)

// builtSite is what a deployment answers with, without its Functions. It is
// immutable.
type builtSite struct {
	deployment string
	manifest   assets.Manifest
	// The two differ in what they tell search engines.
	production, preview *assets.Site
}

// of returns the site as one of the project's hosts has it.
func (b *builtSite) of(preview bool) *assets.Site { //nolint:revive // which of two
	if preview {
		return b.preview
	}
	return b.production
}

// newSite builds the site of a deployment. The error is a [*RefusedError] when its
// files cannot be served.
func (s *Service) newSite(deployment string, m assets.Manifest, rules Rules) (*builtSite, error) {
	b := &builtSite{deployment: deployment, manifest: m}
	for _, preview := range []bool{false, true} {
		site, err := assets.NewPages(m, assets.PagesConfig{Headers: rules.Headers, Redirects: rules.Redirects, Routes: rules.Routes, Preview: preview}, s.o.Files, assets.WithCache(s.files), assets.WithRuleLimits(s.o.RuleLimits))
		if err != nil {
			return nil, &RefusedError{Text: "The site is refused: " + err.Error() + ".", Err: err}
		}
		if preview {
			b.preview = site
		} else {
			b.production = site
		}
	}
	return b, nil
}

// formerSite is one that was in production.
type formerSite struct {
	site  *builtSite
	until time.Time
}

// Respond answers a request for a file of the deployment. On the production host
// a path that the site does not have may be a file of an earlier one, which a
// page that is still open asks for.
func (r *Route) Respond(q *assets.Request) (assets.Response, error) {
	if len(r.former) == 0 {
		return r.site.of(r.Preview).Respond(q)
	}
	old := r.formerly(q)
	res, err := r.site.of(r.Preview).Respond(q)
	if old == nil || err != nil || res.Status >= 300 && res.Status < 400 {
		return res, err
	}
	if res.Body.File != nil {
		_ = res.Body.File.Close() // only read
	}
	return old.of(r.Preview).Respond(q)
}

// formerly returns the site that had the file which the current one lacks; nil
// when there is none. Pages are never taken from there: what was removed is to
// be gone, and only what a page needs to go on is kept.
func (r *Route) formerly(q *assets.Request) *builtSite {
	if q.Method != http.MethodGet && q.Method != http.MethodHead {
		return nil
	}
	path, err := url.PathUnescape(q.Path)
	if err != nil {
		return nil
	}
	if _, ok := r.site.manifest[path]; ok {
		return nil
	}
	for _, f := range r.former {
		if e, ok := f.site.manifest[path]; ok {
			if strings.HasPrefix(e.ContentType, "text/html") {
				return nil
			}
			return f.site
		}
	}
	return nil
}

// Decide says whether the files of the deployment or its Functions answer a
// request.
func (r *Route) Decide(q *assets.Request, hasWorker bool) assets.Action {
	return r.site.of(r.Preview).Route(q, hasWorker)
}
