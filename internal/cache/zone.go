package cache

import "container/heap"

// zone is the entries of one worker.
type zone struct {
	name    string
	entries map[Key]*entry
	list    sieve
	bytes   int64 // of its entries and of bodies that are being written for it
	writers int   // which keep the zone alive without entries
	place   int   // in the heap
}

func newZone(name string) *zone {
	return &zone{name: name, entries: make(map[Key]*entry), list: sieve{
		node: func(e *entry) *node { return &e.onDisk },
		mark: func(e *entry) *bool { return &e.visited },
	}}
}

// zones is a heap with the largest zone on top. It implements heap.Interface.
type zones []*zone

var _ heap.Interface = (*zones)(nil)

func (z *zones) Len() int           { return len(*z) }
func (z *zones) Less(i, j int) bool { return (*z)[i].bytes > (*z)[j].bytes }

func (z *zones) Swap(i, j int) {
	(*z)[i], (*z)[j] = (*z)[j], (*z)[i]
	(*z)[i].place, (*z)[j].place = i, j
}

// Push implements heap.Interface.
func (z *zones) Push(x any) {
	zn, ok := x.(*zone)
	if !ok {
		return
	}
	zn.place = len(*z)
	*z = append(*z, zn)
}

// Pop implements heap.Interface.
func (z *zones) Pop() any {
	old := *z
	last := old[len(old)-1]
	old[len(old)-1] = nil
	*z = old[:len(old)-1]
	return last
}
