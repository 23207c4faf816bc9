package gitrepo

import (
	"errors"
	"fmt"
)

// ErrNoGit says that this machine has no git.
var ErrNoGit = errors.New("gitrepo: no git was found on this machine: install it (Debian, Ubuntu: apt-get install git) and start the platform again")

// ErrNotFound says that there is no such repository, or no such commit in it.
var ErrNotFound = errors.New("gitrepo: not found")

// ErrFull says that a repository takes no push any more.
var ErrFull = errors.New("gitrepo: the repository has as many bytes as it may have")

// TreeError says why a tree is not written to disk. Its text is for whoever
// pushed it.
type TreeError struct{ Text string }

// Error returns the text.
func (e *TreeError) Error() string { return e.Text }

// RunError is a run of git that failed.
type RunError struct {
	Command string // git's, such as receive-pack
	Said    string // its standard error, cut
	Err     error
}

// Error has what git said, which may name objects and references of a repository.
func (e *RunError) Error() string {
	return fmt.Sprintf("git %s: %v: %s", e.Command, e.Err, e.Said)
}

// Unwrap returns how the process ended.
func (e *RunError) Unwrap() error { return e.Err }
