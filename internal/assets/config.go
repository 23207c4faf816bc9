package assets

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
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

// Limits of run_worker_first, which are those of wrangler.
const (
	MaxRunWorkerFirst        = 100
	MaxRunWorkerFirstPattern = 100 // bytes
)

// Config is the assets configuration of a version, as wrangler uploads it. The zero value is valid:
// an empty HTMLHandling means auto-trailing-slash, an empty NotFoundHandling means none.
type Config struct {
	HTMLHandling     string `json:"html_handling,omitempty"`
	NotFoundHandling string `json:"not_found_handling,omitempty"`
	// BasePath is the path under which the assets are served, "" or "/" for the root.
	BasePath       string         `json:"base_path,omitempty"`
	RunWorkerFirst RunWorkerFirst `json:"run_worker_first,omitzero"`
	// Headers and Redirects are the raw texts of the files _headers and _redirects.
	Headers   string `json:"_headers,omitempty"`
	Redirects string `json:"_redirects,omitempty"`
	// NavigationPrefersAssets says that requests a browser makes for a page (Sec-Fetch-Mode: navigate)
	// go to the not_found_handling answer rather than to the worker. Set it from the version's
	// compatibility date and flags with the function of the same name.
	NavigationPrefersAssets bool `json:"navigation_prefers_assets,omitempty"`
}

// NavigationPrefersAssets says what a version's compatibility date (YYYY-MM-DD) and flags mean for
// [Config.NavigationPrefersAssets]: on from 2025-04-01, or by assets_navigation_prefers_asset_serving,
// unless assets_navigation_has_no_effect keeps it off.
func NavigationPrefersAssets(date string, flags []string) bool {
	if slices.Contains(flags, "assets_navigation_prefers_asset_serving") {
		return true
	}
	return date >= "2025-04-01" && !slices.Contains(flags, "assets_navigation_has_no_effect")
}

// RunWorkerFirst says for which requests the worker answers before the assets: for all of them, or
// for those whose path matches one of Patterns. A pattern starts with "/" and may hold "*" for any
// text; one that starts with "!/" names paths that go to the assets all the same.
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
	var err error
	if data = bytes.TrimSpace(data); len(data) > 0 && data[0] == '[' {
		err = json.Unmarshal(data, &r.Patterns)
	} else {
		err = json.Unmarshal(data, &r.Always)
	}
	if err != nil {
		return fmt.Errorf("run_worker_first must be true, false or a list of path patterns: %w", err)
	}
	return nil
}

// ConfigError says which field of a Config has a value that is not allowed.
type ConfigError struct {
	// Field is the name the field has in the app's configuration.
	Field string
	Value string
	// Reason says what is allowed.
	Reason string
}

// Error implements error.
func (e *ConfigError) Error() string {
	return fmt.Sprintf("assets configuration: %s %q: %s", e.Field, clip(e.Value), e.Reason)
}

// handling checks one of the two mode fields and fills in its default.
func handling(field, value string, allowed ...string) (string, error) {
	if value == "" {
		return allowed[0], nil
	}
	if !slices.Contains(allowed, value) {
		return "", &ConfigError{Field: field, Value: value, Reason: "must be one of " + strings.Join(allowed, ", ")}
	}
	return value, nil
}

// cleanBasePath returns the base path as "/" or "/…/".
func cleanBasePath(p string) (string, error) {
	fault := func(reason string) (string, error) {
		return "", &ConfigError{Field: "base_path", Value: p, Reason: reason}
	}
	switch scheme, _, _ := strings.Cut(p, "/"); {
	case p == "" || p == "/":
		return "/", nil
	case strings.HasPrefix(p, "//") || strings.Contains(scheme, ":"):
		return fault("must be a path, not a URL")
	case strings.ContainsAny(p, `\?#%`):
		return fault("must not hold backslashes, percent-encoding, a query or a fragment")
	case !isFieldValue(p) || strings.Contains(p, "\t"):
		return fault("must not hold control characters")
	}
	var segments []string
	for seg := range strings.SplitSeq(p, "/") {
		switch seg {
		case "", ".":
		case "..":
			segments = segments[:max(len(segments)-1, 0)]
		default:
			segments = append(segments, seg)
		}
	}
	if len(segments) == 0 {
		return "/", nil
	}
	return "/" + strings.Join(segments, "/") + "/", nil
}

// compile returns the patterns for which the worker and the assets come first.
func (r RunWorkerFirst) compile() (worker, asset []glob, err error) {
	if len(r.Patterns) > MaxRunWorkerFirst {
		return nil, nil, &ConfigError{Field: "run_worker_first", Reason: fmt.Sprintf("has %d patterns, more than %d", len(r.Patterns), MaxRunWorkerFirst)}
	}
	for _, p := range r.Patterns {
		if len(p) > MaxRunWorkerFirstPattern {
			return nil, nil, &ConfigError{Field: "run_worker_first", Value: p, Reason: fmt.Sprintf("a pattern must not be longer than %d bytes", MaxRunWorkerFirstPattern)}
		}
		path, negative := strings.CutPrefix(p, "!")
		if !strings.HasPrefix(path, "/") {
			return nil, nil, &ConfigError{Field: "run_worker_first", Value: p, Reason: `a pattern must start with "/" or "!/"`}
		}
		if negative {
			asset = append(asset, compileGlob(path))
		} else {
			worker = append(worker, compileGlob(path))
		}
	}
	if len(asset) > 0 && len(worker) == 0 {
		return nil, nil, &ConfigError{Field: "run_worker_first", Value: r.Patterns[0], Reason: "needs at least one pattern that is not negative"}
	}
	return worker, asset, nil
}
