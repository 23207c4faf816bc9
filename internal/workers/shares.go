package workers

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
)

const (
	// The versions that one deployment may have: by default wrangler deploys two
	// at a time. Each may keep a process.
	maxDeployed = 10
	// How far from 100 the shares may add up, in percent: thirds are written with
	// few digits. It is wrangler's own tolerance.
	shareTolerance = 1e-3
)

// Shares is how a gradual deployment divides requests among its versions. It is
// immutable.
type Shares struct {
	seed  uint64 // of the script: a key falls to another point for another script
	parts []share
}

// share is the part [end of the one before, end) of [0, 100) and who gets it.
type share struct {
	end   float64
	route *Route
}

// Gradual reports whether requests are divided among several versions; the other
// fields of the route are those of its primary version then.
func (r *Route) Gradual() bool { return r.shares != nil }

// Pick returns the route of the version that answers one request: the one with
// the id override if the deployment has it, with whatever share; else the one
// that key falls to, always the same for a key while the shares stay; else one
// at random. Both may be empty. Without a gradual deployment it is r itself.
func (r *Route) Pick(key, override string) *Route {
	if r.shares == nil {
		return r
	}
	return r.shares.pick(key, override)
}

func (s *Shares) pick(key, override string) *Route {
	if override != "" {
		for i := range s.parts {
			if s.parts[i].route.Version == override {
				return s.parts[i].route
			}
		}
	}
	if key != "" {
		return s.at(point(s.seed, key))
	}
	return s.at(rand.Float64() * 100) //nolint:gosec // divides load, guards nothing
}

// at returns who has the point p of [0, 100).
func (s *Shares) at(p float64) *Route {
	last := s.parts[0].route
	for i := range s.parts {
		if p < s.parts[i].end {
			return s.parts[i].route
		}
		if i > 0 && s.parts[i].end > s.parts[i-1].end {
			last = s.parts[i].route
		}
	}
	return last // the sum fell short of 100 by rounding
}

// newShares orders the versions from the oldest to the newest, so that a key of a
// version whose share only grows stays with it: between two versions the border
// moves, and nothing else does.
func newShares(script string, versions []DeploymentVersion, routes []*Route) *Shares {
	type part struct {
		route *Route
		share float64
	}
	parts := make([]part, len(routes))
	for i := range routes {
		parts[i] = part{routes[i], versions[i].Percentage}
	}
	slices.SortFunc(parts, func(a, b part) int {
		return cmp.Or(a.route.unit.createdAt.Compare(b.route.unit.createdAt), cmp.Compare(a.route.Version, b.route.Version))
	})
	s := &Shares{seed: hash(offset64, script)}
	var end float64
	for _, p := range parts {
		end += p.share
		s.parts = append(s.parts, share{end: end, route: p.route})
	}
	return s
}

// point maps a key to [0, 100), the same in every process and release: visitors
// must not move because the platform was restarted.
func point(seed uint64, key string) float64 {
	h := hash(seed, key)
	// The finalizer of MurmurHash3: FNV alone leaves the high bits of short keys
	// close together.
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	h ^= h >> 33
	return float64(h>>11) / (1 << 53) * 100
}

const (
	offset64 = 14695981039346656037 // FNV-1a
	prime64  = 1099511628211
)

func hash(h uint64, s string) uint64 {
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * prime64
	}
	return h
}

// plan checks what a deployment is to serve and returns it with canonical ids.
func (r *DeployRequest) plan() ([]DeploymentVersion, error) {
	refuse := func(format string, args ...any) ([]DeploymentVersion, error) {
		return nil, fail(CodeInvalidDeployment, 400, format, args...)
	}
	switch {
	case r.Strategy != "" && r.Strategy != StrategyPercentage:
		return refuse("The deployment strategy %q is not known. Use %q.", clip(r.Strategy), StrategyPercentage)
	case len(r.Versions) == 0:
		return refuse("The deployment names no version.")
	case len(r.Versions) > maxDeployed:
		return refuse("The deployment names %d versions; at most %d can share the requests.", len(r.Versions), maxDeployed)
	}
	out := make([]DeploymentVersion, 0, len(r.Versions))
	var sum float64
	for _, v := range r.Versions {
		v.VersionID = canonicalID(v.VersionID)
		if slices.ContainsFunc(out, func(o DeploymentVersion) bool { return o.VersionID == v.VersionID }) {
			return refuse("The deployment names the version %s twice.", clip(v.VersionID))
		}
		if !(v.Percentage >= 0 && v.Percentage <= 100) {
			return refuse("The share of the version %s is %v percent; it must be from 0 to 100.", clip(v.VersionID), v.Percentage)
		}
		sum += v.Percentage
		out = append(out, v)
	}
	if math.Abs(sum-100) > shareTolerance {
		return refuse("The shares of the deployment add up to %v percent; they must add up to 100.", sum)
	}
	return out, nil
}

// serves returns the primary version of the deployment: the one with the largest
// share, of equal ones the first named. Where one version has to stand for the
// deployment (a script's Durable Objects, its settings), it is this one.
func (d *deploymentDocument) serves() string {
	var id string
	share := -1.0
	for _, v := range d.Versions {
		if v.Percentage > share {
			id, share = v.VersionID, v.Percentage
		}
	}
	return id
}

// sole returns the version that is deployed alone, "" when several are.
func (d *deploymentDocument) sole() string {
	if len(d.Versions) != 1 {
		return ""
	}
	return d.Versions[0].VersionID
}

// has reports whether the deployment names the version, with whatever share.
func (d *deploymentDocument) has(version string) bool {
	return slices.ContainsFunc(d.Versions, func(v DeploymentVersion) bool { return v.VersionID == version })
}
