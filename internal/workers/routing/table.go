package routing

import "slices"

// Table finds the value of the most specific pattern that matches. It is
// immutable once built and safe for concurrent use; finding allocates nothing.
type Table[T any] struct {
	exact map[string][]entry[T] // by host
	wild  []entry[T]
}

type entry[T any] struct {
	pattern Pattern
	value   T
}

// Route is one row of a table.
type Route[T any] struct {
	Pattern Pattern
	Value   T
}

// NewTable compiles routes.
func NewTable[T any](routes []Route[T]) *Table[T] {
	t := &Table[T]{exact: make(map[string][]entry[T])}
	for _, r := range routes {
		e := entry[T]{pattern: r.Pattern, value: r.Value}
		if r.Pattern.wild {
			t.wild = append(t.wild, e)
		} else {
			t.exact[r.Pattern.host] = append(t.exact[r.Pattern.host], e)
		}
	}
	order := func(a, b entry[T]) int { return a.pattern.compare(&b.pattern) }
	for _, list := range t.exact {
		slices.SortFunc(list, order)
	}
	slices.SortFunc(t.wild, order)
	return t
}

// Find returns the value for a request, see [Pattern.Matches]; ok is false when
// no pattern matches.
func (t *Table[T]) Find(scheme, host, target string) (value T, ok bool) {
	list := t.exact[host]
	for i := range list {
		if list[i].pattern.matchesRest(scheme, target) {
			return list[i].value, true
		}
	}
	for i := range t.wild {
		if t.wild[i].pattern.Matches(scheme, host, target) {
			return t.wild[i].value, true
		}
	}
	return value, false
}
