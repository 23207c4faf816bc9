// Package fsxtest injects file system faults into tests: a [Faults] makes the
// Nth step of a kind fail once, or stops everything from there on as if the
// process had been killed.
package fsxtest

import (
	"errors"
	"sync"

	"github.com/selvage-dev/selvage/internal/fsx"
)

// ErrStopped is the error of every step after a stop.
var ErrStopped = errors.New("fsxtest: stopped here, as if killed")

// Faults counts steps and decides which one goes wrong. It is safe for
// concurrent use. The zero value lets everything pass and counts.
type Faults struct {
	mu      sync.Mutex
	rules   []rule
	count   map[fsx.Op]int
	total   int
	stopAt  int
	stopped bool
}

type rule struct {
	op  fsx.Op
	n   int
	err error
}

// FailNth makes the nth step (from 1, counted from now on) of kind op fail with err.
func (f *Faults) FailNth(op fsx.Op, n int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rules = append(f.rules, rule{op: op, n: f.count[op] + n, err: err})
}

// StopAt makes the nth step of any kind (from 1, counted from now on) and all
// after it fail with [ErrStopped], cleaning up included: the disk is then as a
// killed process leaves it.
func (f *Faults) StopAt(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stopAt = f.total + n
}

// Steps returns how many steps were asked for so far.
func (f *Faults) Steps() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.total
}

// Count returns how many steps of a kind were asked for so far.
func (f *Faults) Count(op fsx.Op) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.count[op]
}

// Stopped says whether the stop was reached.
func (f *Faults) Stopped() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.stopped
}

// FS returns a file system that asks f.
func (f *Faults) FS() fsx.FS { return fsx.WithHook(f.hook) }

func (f *Faults) hook(op fsx.Op, _ string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.count == nil {
		f.count = map[fsx.Op]int{}
	}
	f.total++
	f.count[op]++
	if f.stopAt > 0 && f.total >= f.stopAt {
		f.stopped = true
	}
	if f.stopped {
		return ErrStopped
	}
	for _, r := range f.rules {
		if r.op == op && r.n == f.count[op] {
			return r.err
		}
	}
	return nil
}
