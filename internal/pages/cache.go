package pages

import (
	"maps"
	"sync"
	"sync/atomic"
	"weak"
)

// maxHosts bounds the hosts in the cache: an entry is copied with each change.
const maxHosts = 2048

// hostCache maps hosts to routes. Reading takes no lock: the map is immutable and
// a change replaces it. It is bounded by the files of the sites that its routes
// hold, so memory does not grow with the deployments that are kept. Sites are
// found again for as long as any route holds them.
type hostCache struct {
	limit   int // files of all sites
	gen     atomic.Uint64
	entries atomic.Pointer[map[string]*hostEntry]

	mu    sync.Mutex // held to replace entries, and for the sites
	sites map[string]weak.Pointer[builtSite]
}

type hostEntry struct {
	route *Route
	used  atomic.Bool
}

func (c *hostCache) get(host string) *Route {
	entries := c.entries.Load()
	if entries == nil {
		return nil
	}
	e := (*entries)[host]
	if e == nil {
		return nil
	}
	if !e.used.Load() { // reading a word that stays the same is free of contention
		e.used.Store(true)
	}
	return e.route
}

// generation is to be read before what a route for put is made of.
func (c *hostCache) generation() uint64 { return c.gen.Load() }

// put keeps a route, unless something changed since generation: it may be of the
// time before.
func (c *hostCache) put(host string, r *Route, generation uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gen.Load() != generation {
		return
	}
	entries := c.copied()
	entries[host] = &hostEntry{route: r}
	c.store(entries, host)
}

// swap puts routes in the place of those of a project's hosts that changed, unless something changed since generation:
// they may be of the time before, and then the project has none at all.
func (c *hostCache) swap(project string, routes map[string]*Route, changed func(host string) bool, generation uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	current := c.gen.Load() == generation
	c.gen.Add(1) // a route of before that is on its way is not kept
	entries := c.copied()
	maps.DeleteFunc(entries, func(host string, e *hostEntry) bool {
		return e.route.Project == project && (!current || changed(host))
	})
	last := ""
	if current {
		for host, r := range routes {
			entries[host] = &hostEntry{route: r}
			last = host
		}
	}
	c.store(entries, last)
}

// store bounds the entries, of which host is to stay.
func (c *hostCache) store(entries map[string]*hostEntry, host string) {
	for len(entries) > 1 && (len(entries) > maxHosts || c.files(entries) > c.limit) {
		evict(entries, host)
	}
	c.entries.Store(&entries)
}

// of returns the hosts of a project that are in the cache.
func (c *hostCache) of(project string) (hosts []string) {
	entries := c.entries.Load()
	if entries == nil {
		return nil
	}
	for host, e := range *entries {
		if e.route.Project == project {
			hosts = append(hosts, host)
		}
	}
	return hosts
}

func (c *hostCache) copied() map[string]*hostEntry {
	if old := c.entries.Load(); old != nil {
		return maps.Clone(*old)
	}
	return make(map[string]*hostEntry)
}

// files counts those of all sites that are held, each site once.
func (*hostCache) files(entries map[string]*hostEntry) int {
	seen := make(map[*builtSite]bool)
	n := 0
	add := func(b *builtSite) {
		if !seen[b] {
			seen[b] = true
			n += len(b.manifest)
		}
	}
	for _, e := range entries {
		add(e.route.site)
		if e.route.former != nil {
			n += len(e.route.former.has)
		}
	}
	return n
}

// evict removes a route that was not used since the last time it was considered,
// or else any, but not that of host.
func evict(entries map[string]*hostEntry, host string) {
	victim := ""
	for h, e := range entries { // in random order: the hand of the clock
		if h == host {
			continue
		}
		victim = h
		if !e.used.Swap(false) {
			break
		}
	}
	delete(entries, victim)
}

// forget drops the routes of a project.
func (c *hostCache) forget(project string) {
	c.gen.Add(1) // first: a route of before that is on its way is not kept
	c.mu.Lock()
	defer c.mu.Unlock()
	entries := c.copied()
	maps.DeleteFunc(entries, func(_ string, e *hostEntry) bool { return e.route.Project == project })
	c.entries.Store(&entries)
}

// site returns the site of a deployment if it is in memory.
func (c *hostCache) site(deployment string) (*builtSite, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.sites[deployment].Value()
	return b, b != nil
}

func (c *hostCache) keepSite(b *builtSite) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sites == nil {
		c.sites = make(map[string]weak.Pointer[builtSite])
	}
	if len(c.sites) > 2*maxHosts {
		maps.DeleteFunc(c.sites, func(_ string, p weak.Pointer[builtSite]) bool { return p.Value() == nil })
	}
	c.sites[b.deployment] = weak.Make(b)
}
