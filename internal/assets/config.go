package assets

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Values of Config.HTMLHandling.
const (
	AutoTrailingSlash  = "auto-trailing-slash"
	ForceTrailingSlash = "force-trailing-slash"
	DropTrailingSlash  = "drop-trailing-slash"
	NoHTMLHandling     = "none"
)

// Values of Config.NotFoundHandling.
const (
	SinglePageApplication = "single-page-application"
	NotFoundPage          = "404-page"
	NoNotFoundHandling    = "none"
)

// Config is the assets configuration of a version, as wrangler uploads it. The zero value is valid:
// an empty HTMLHandling means auto-trailing-slash, an empty NotFoundHandling means none.
type Config struct {
	HTMLHandling     string         `json:"html_handling,omitempty"`
	NotFoundHandling string         `json:"not_found_handling,omitempty"`
	BasePath         string         `json:"base_path,omitempty"`
	RunWorkerFirst   RunWorkerFirst `json:"run_worker_first,omitzero"`
	// Headers and Redirects are the raw texts of the files _headers and _redirects.
	Headers   string `json:"_headers,omitempty"`
	Redirects string `json:"_redirects,omitempty"`
	// NavigationPrefersAssets says that requests a browser makes for a page (Sec-Fetch-Mode: navigate)
	// go to the not_found_handling answer rather than to the worker. The uploader derives it from
	// the version's compatibility date and flags with [NavigationPrefersAssets].
	NavigationPrefersAssets bool `json:"navigation_prefers_assets,omitempty"`
}

// RunWorkerFirst says for which requests the worker answers before the assets: for all of them, or
// for those whose path matches one of Patterns and none of its negative ("!…") patterns.
type RunWorkerFirst struct {
	Always   bool
	Patterns []string
}

// IsZero reports whether assets always come first.
func (r RunWorkerFirst) IsZero() bool { return !r.Always && len(r.Patterns) == 0 }

// MarshalJSON encodes the rule as a boolean or a list of patterns.
func (r RunWorkerFirst) MarshalJSON() ([]byte, error) {
	if len(r.Patterns) > 0 {
		return json.Marshal(r.Patterns)
	}
	return json.Marshal(r.Always)
}

// UnmarshalJSON decodes a boolean, a list of patterns or null.
func (r *RunWorkerFirst) UnmarshalJSON(data []byte) error {
	*r = RunWorkerFirst{}
	data = bytes.TrimSpace(data)
	if len(data) > 0 && data[0] == '[' {
		return json.Unmarshal(data, &r.Patterns)
	}
	if err := json.Unmarshal(data, &r.Always); err != nil {
		return fmt.Errorf("run_worker_first must be true, false or a list of path patterns: %w", err)
	}
	return nil
}
