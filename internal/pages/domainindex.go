package pages

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// domainIndex says which project a custom domain is for. Reading takes no lock: the map is immutable and a change
// replaces it.
type domainIndex struct {
	mu     sync.Mutex // held to replace hosts
	byHost atomic.Pointer[map[string]string]
}

// all returns hostname → project. It must not be changed.
func (x *domainIndex) all() map[string]string {
	if m := x.byHost.Load(); m != nil {
		return *m
	}
	return nil
}

// of lists the domains of a project.
func (x *domainIndex) of(project string) []string {
	var out []string
	for host, p := range x.all() {
		if p == project {
			out = append(out, host)
		}
	}
	slices.Sort(out)
	return out
}

// find returns the project of a host, and the label before a domain with a "*".
func (x *domainIndex) find(host string) (label, project string, ok bool) {
	m := x.all()
	if len(m) == 0 {
		return "", "", false
	}
	if project, ok = m[host]; ok {
		return "", project, true
	}
	label, rest, two := strings.Cut(host, ".")
	if !two || label == "" {
		return "", "", false
	}
	var buf [256]byte
	project, ok = m[string(append(append(buf[:0], "*."...), rest...))]
	return label, project, ok
}
