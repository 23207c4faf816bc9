package workers

// CacheOptions are the "cache" block of a worker's configuration.
type CacheOptions struct {
	// Enabled keeps the worker's answers and gives them again without running it.
	Enabled bool `json:"enabled"`
	// CrossVersion has the versions of the worker share what is kept.
	CrossVersion bool `json:"cross_version_cache,omitempty"`
}

// CacheScope is where the answers of a version are kept.
type CacheScope struct {
	Zone string
	// Version keeps the versions of a worker apart; empty when they share.
	Version string
}

// scope returns nil when nothing is to be kept.
func (o *CacheOptions) scope(sc scope, version string) *CacheScope {
	switch {
	case o == nil || !o.Enabled:
		return nil
	case o.CrossVersion:
		return &CacheScope{Zone: cacheZone(sc)}
	}
	return &CacheScope{Zone: cacheZone(sc), Version: version}
}

// cacheZone names the cache of a script: what one puts in, no other finds.
func cacheZone(sc scope) string { return sc.account + "/" + sc.script }
