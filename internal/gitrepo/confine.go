package gitrepo

import (
	"path/filepath"

	"github.com/selvage-dev/selvage/internal/sandbox"
	"github.com/selvage-dev/selvage/internal/supervise"
)

// What one git process may take.
const (
	gitMemory = 2 << 30 // bytes
	gitNice   = 5
)

// confine makes spec a git that sees this machine's programs and the folders it
// works on. Where processes cannot be confined git runs as it is: the packs it
// reads are checked by it alone then.
func (s *Store) confine(spec *supervise.Spec, c *command) {
	spec.Args = append([]string{"-C", c.dir}, spec.Args...)
	if !s.o.Isolation.Confined() {
		return
	}
	var work []sandbox.Bind
	for _, dir := range append([]string{c.repo, c.dir}, c.write...) {
		if dir != "" && !coveredBy(work, dir) {
			work = append(work, sandbox.Bind{Source: dir, Target: dir})
		}
	}
	spec.Dir = s.empty
	spec.Sandbox = &supervise.Sandbox{
		Isolation: s.o.Isolation, Program: s.git, ReadOnly: supervise.System([]string{filepath.Dir(s.git)}), Work: work, System: true,
		Limits: sandbox.Limits{Memory: gitMemory, Nice: gitNice},
	}
}

func coveredBy(work []sandbox.Bind, dir string) bool {
	for _, b := range work {
		if b.Source == dir {
			return true
		}
	}
	return false
}
