package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/selvage-dev/selvage/internal/fsx"
	"github.com/selvage-dev/selvage/internal/supervise"
)

// Options configures [Open]. Zero values take the defaults that are named.
type Options struct {
	// Dir is the folder of all repositories; it is made.
	Dir string
	FS  fsx.FS
	Log *slog.Logger
	// Git is the program; empty: the one in $PATH.
	Git string
	// Isolation confines git: it then has no network and sees nothing of this
	// machine but its programs and the one repository. Nil: it is not confined.
	Isolation *supervise.Isolation

	MaxPush int64         // bytes of one pack that is pushed; 1 GiB
	MaxRepo int64         // bytes of a repository that still takes a push; 4 GiB
	Timeout time.Duration // of one run of git; 1 hour
}

// Store is a folder of repositories. It is safe for concurrent use.
type Store struct {
	o   Options
	git string // absolute path; empty: there is none
	// empty is the private folder of confined processes, in which nothing is.
	empty string

	mu    sync.Mutex
	locks map[string]*lock
}

// lock lets one writer at a time work on a repository.
type lock struct {
	ch    chan struct{} // holds one token while nobody has it
	users int
}

// Open opens the folder. That git is missing is no error: every call that needs
// it then returns [ErrNoGit].
func Open(o Options) (*Store, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	setDefault(&o.MaxPush, 1<<30)
	setDefault(&o.MaxRepo, 4<<30)
	setDefault(&o.Timeout, time.Hour)
	s := &Store{o: o, git: o.Git, empty: filepath.Join(o.Dir, "empty"), locks: make(map[string]*lock)}
	if s.git == "" {
		if found, err := exec.LookPath("git"); err == nil {
			if s.git, err = filepath.Abs(found); err != nil {
				return nil, fmt.Errorf("gitrepo: %w", err)
			}
		}
	}
	if err := o.FS.MkdirAll(s.empty, 0o700); err != nil {
		return nil, fmt.Errorf("gitrepo: folder of the repositories: %w", err)
	}
	return s, nil
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Git returns the path of git, empty when there is none.
func (s *Store) Git() string { return s.git }

// path is the folder of a repository. An id that is no UUID has none.
func (s *Store) path(id string) (string, error) {
	if err := uuid.Validate(id); err != nil || len(id) != 36 {
		return "", fmt.Errorf("gitrepo: repository %.64q: %w", id, ErrNotFound)
	}
	return filepath.Join(s.o.Dir, id+".git"), nil
}

// Ensure makes the repository when there is none, and makes branch the one that a
// clone gets.
func (s *Store) Ensure(ctx context.Context, id, branch string) error {
	dir, err := s.path(id)
	if err != nil {
		return err
	}
	unlock, err := s.lock(ctx, id)
	if err != nil {
		return err
	}
	defer unlock()
	head := "refs/heads/" + branch
	if _, err := os.Stat(filepath.Join(dir, "HEAD")); errors.Is(err, fs.ErrNotExist) {
		// Under another name first: a repository is whole or not there.
		half := filepath.Join(s.o.Dir, "."+id+".tmp")
		if err := os.RemoveAll(half); err != nil {
			return fmt.Errorf("gitrepo: make repository: %w", err)
		}
		if err := s.o.FS.MkdirAll(half, 0o700); err != nil {
			return fmt.Errorf("gitrepo: make repository: %w", err)
		}
		if err := s.run(ctx, command{args: []string{"init", "--bare", "--quiet", "--template=", "--initial-branch=" + safeBranch(branch), half}, dir: half}); err != nil {
			return errors.Join(err, os.RemoveAll(half))
		}
		if err := s.o.FS.Rename(half, dir); err != nil {
			return errors.Join(fmt.Errorf("gitrepo: make repository: %w", err), os.RemoveAll(half))
		}
		if err := s.o.FS.SyncDir(s.o.Dir); err != nil {
			return fmt.Errorf("gitrepo: make repository: %w", err)
		}
	}
	want := "ref: " + head + "\n"
	if now, err := os.ReadFile(filepath.Join(dir, "HEAD")); err == nil && string(now) == want { //nolint:gosec // in our own folder
		return nil
	}
	if safeBranch(branch) != branch {
		return nil // no branch of this name can be pushed
	}
	return s.run(ctx, command{repo: dir, dir: dir, args: []string{"symbolic-ref", "HEAD", head}})
}

// safeBranch returns the branch if git can have one of this name.
func safeBranch(branch string) string {
	if !ValidBranch(branch) {
		return "main"
	}
	return branch
}

// Exists reports whether there is the repository.
func (s *Store) Exists(id string) bool {
	dir, err := s.path(id)
	if err != nil {
		return false
	}
	_, err = os.Stat(filepath.Join(dir, "HEAD"))
	return err == nil
}

// Remove deletes a repository. That there is none is no error.
func (s *Store) Remove(ctx context.Context, id string) error {
	dir, err := s.path(id)
	if err != nil {
		return err
	}
	unlock, err := s.lock(ctx, id)
	if err != nil {
		return err
	}
	defer unlock()
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("gitrepo: remove repository: %w", err)
	}
	return nil
}

// IDs returns the repositories there are.
func (s *Store) IDs() ([]string, error) {
	entries, err := os.ReadDir(s.o.Dir)
	if err != nil {
		return nil, fmt.Errorf("gitrepo: list repositories: %w", err)
	}
	var ids []string
	for _, e := range entries {
		if id, ok := cutID(e.Name()); ok {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

func cutID(name string) (string, bool) {
	const idLen = 36
	if len(name) != idLen+len(".git") || name[idLen:] != ".git" {
		return "", false
	}
	return name[:idLen], uuid.Validate(name[:idLen]) == nil
}

// lock waits until nobody else writes to the repository.
func (s *Store) lock(ctx context.Context, id string) (unlock func(), err error) {
	s.mu.Lock()
	l := s.locks[id]
	if l == nil {
		l = &lock{ch: make(chan struct{}, 1)}
		l.ch <- struct{}{}
		s.locks[id] = l
	}
	l.users++
	s.mu.Unlock()
	leave := func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if l.users--; l.users == 0 {
			delete(s.locks, id)
		}
	}
	select {
	case <-l.ch:
		return func() { l.ch <- struct{}{}; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, fmt.Errorf("gitrepo: wait for another push: %w", context.Cause(ctx))
	}
}
