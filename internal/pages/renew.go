package pages

import (
	"context"
	"maps"
	"slices"
)

// renew makes the hosts with these labels of a project lead to what they lead to now, all at once; the label of
// production is "". It comes after the transaction that changed that. What is new is read first, so that no visitor
// waits for it: until then they get what was.
func (s *Service) renew(ctx context.Context, project string, labels ...string) {
	ctx = context.WithoutCancel(ctx) // the change is made
	generation := s.hosts.generation()
	changed := func(host string) bool {
		label, ok := s.labelOf(host)
		return !ok || slices.Contains(labels, label)
	}
	hosts := s.hosts.of(project) // custom domains among them
	for _, label := range labels {
		host := s.Hostname(project)
		if label != "" {
			host = label + "." + host
		}
		hosts = append(hosts, host)
	}
	byLabel := make(map[string]*Route)
	for _, label := range labels {
		// Where there is nothing, or it cannot be read, the next visitor is told so.
		if r, err := s.read(ctx, label, project); err == nil {
			byLabel[label] = r
		}
	}
	routes := make(map[string]*Route)
	for _, host := range hosts {
		if label, ok := s.labelOf(host); ok && changed(host) {
			routes[host] = byLabel[label]
		}
	}
	maps.DeleteFunc(routes, func(_ string, r *Route) bool { return r == nil })
	s.hosts.swap(project, routes, changed, generation)
}

// labelOf returns what stands before the project in one of its hosts.
func (s *Service) labelOf(host string) (label string, ok bool) {
	if label, _, ok = s.splitHost(host); !ok {
		label, _, ok = s.domains.find(host)
	}
	return label, ok
}
