package assets

import "errors"

// Site answers requests for one version's assets.
type Site struct {
	manifest Manifest
	config   Config
	files    Files
}

// New builds a Site.
func New(m Manifest, c Config, files Files) (*Site, error) {
	return &Site{manifest: m, config: c, files: files}, nil
}

// Route says who answers r first.
func (s *Site) Route(r *Request, hasWorker bool) Action {
	if _, ok := s.manifest[r.Path]; ok {
		return Serve
	}
	if hasWorker {
		return RunWorker
	}
	return NotFound
}

// Respond returns the full answer to r.
func (s *Site) Respond(_ *Request) (Response, error) {
	return Response{}, errors.New("assets: respond: being written")
}
