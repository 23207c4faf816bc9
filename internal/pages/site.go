package pages

import (
	"net/http"
	"net/url"

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
func (s *Service) newSite(d *deploymentRow, m assets.Manifest, rules Rules) (*builtSite, error) {
	config := assets.PagesConfig{Headers: rules.Headers, Redirects: rules.Redirects, Routes: rules.Routes, Guarded: d.doc.Bundle != nil}
	site, err := assets.NewPages(m, config, s.o.Files, assets.WithCache(s.files), assets.WithRuleLimits(s.o.RuleLimits))
	if err != nil {
		return nil, &RefusedError{Text: "The site is refused: " + err.Error() + ".", Err: err}
	}
	return &builtSite{deployment: d.id, manifest: m, production: site, preview: site.Preview()}, nil
}

// Respond answers a request for a file of the deployment. On the production host
// a path that the site does not have may be a file of an earlier one, which a
// page that is still open asks for; a redirect of the site comes before that.
func (r *Route) Respond(q *assets.Request) (assets.Response, error) {
	res, err := r.site.of(r.Preview).Respond(q)
	if r.former == nil || err != nil || res.Status >= 300 && res.Status < 400 || !r.former.answers(q, r.site.manifest) {
		return res, err
	}
	if res.Body.File != nil {
		_ = res.Body.File.Close() // only read
	}
	return r.former.site.Respond(q)
}

// answers says whether a request is for one of the files, and not for one that the
// site has.
func (f *formerFilesOf) answers(q *assets.Request, current assets.Manifest) bool {
	if q.Method != http.MethodGet && q.Method != http.MethodHead {
		return false
	}
	path, err := url.PathUnescape(q.Path)
	if err != nil {
		return false
	}
	if _, ok := current[path]; ok {
		return false
	}
	_, ok := f.has[path]
	return ok
}

// Decide says whether the files of the deployment or its Functions answer a
// request.
func (r *Route) Decide(q *assets.Request, hasWorker bool) assets.Action {
	return r.site.of(r.Preview).Route(q, hasWorker)
}
