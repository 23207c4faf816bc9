package gitrepo

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

// Bounds of a tree that is written to disk.
type Bounds struct {
	Files int   // and links
	Bytes int64 // of all files together
}

// Tree is what a commit has.
type Tree struct {
	Files int
	Bytes int64
	// Submodules are the paths of commits of other repositories. They are left out.
	Submodules []string
}

// indexPrefix begins the names of the indexes of checkouts, in the repository's folder.
const indexPrefix = "selvage-index-"

// Checkout writes the files of a commit into dest, an empty folder that is there.
// The tree is measured first, so that a small pack of a huge tree is refused
// before it fills the disk: a [*TreeError]. Links are written as they are; whoever
// reads the folder must not follow them out of it.
func (s *Store) Checkout(ctx context.Context, id, commit, dest string, b Bounds) (Tree, error) {
	dir, err := s.path(id)
	if err != nil {
		return Tree{}, err
	}
	if !isHash(commit) {
		return Tree{}, fmt.Errorf("gitrepo: commit %.80q: %w", commit, ErrNotFound)
	}
	m := &measure{bounds: b}
	err = s.run(ctx, command{repo: dir, dir: dir, out: m, args: []string{"ls-tree", "-r", "-l", "-z", "--full-tree", commit}})
	if m.err != nil {
		return Tree{}, m.err
	}
	if err != nil {
		return Tree{}, err
	}
	// The index is beside the files: it would be one of them otherwise.
	index := filepath.Join(dir, indexPrefix+uuid.NewString())
	defer func() { _ = s.o.FS.Remove(index) }()
	env := []string{"GIT_INDEX_FILE=" + index}
	if err := s.run(ctx, command{repo: dir, dir: dir, env: env, args: []string{"read-tree", commit}}); err != nil {
		return Tree{}, err
	}
	env = append(env, "GIT_WORK_TREE="+dest)
	err = s.run(ctx, command{repo: dir, dir: dest, env: env, write: []string{dest}, args: []string{"checkout-index", "--all", "--quiet", "--force"}})
	return m.tree, err
}

// maxEntry bounds one line of ls-tree.
const maxEntry = 8 << 10

// measure reads "mode type hash size\tpath\0" and counts.
type measure struct {
	bounds Bounds
	tree   Tree
	line   []byte
	err    error // *TreeError, or that the output makes no sense
}

// Write implements io.Writer; an error ends git.
func (m *measure) Write(p []byte) (int, error) {
	total := len(p)
	for len(p) > 0 {
		i := bytes.IndexByte(p, 0)
		if i < 0 {
			m.line = append(m.line, p...)
			if len(m.line) > maxEntry {
				m.err = &TreeError{Text: fmt.Sprintf("a path of the commit has more than %d bytes", maxEntry)}
				return 0, m.err
			}
			break
		}
		m.line = append(m.line, p[:i]...)
		p = p[i+1:]
		if m.err = m.entry(string(m.line)); m.err != nil {
			return 0, m.err
		}
		m.line = m.line[:0]
	}
	return total, nil
}

func (m *measure) entry(line string) error {
	head, path, ok := strings.Cut(line, "\t")
	fields := strings.Fields(head)
	if !ok || len(fields) != 4 {
		return fmt.Errorf("gitrepo: git lists a tree as %.80q", line)
	}
	if fields[1] == "commit" {
		if len(m.tree.Submodules) < 100 {
			m.tree.Submodules = append(m.tree.Submodules, path)
		}
		return nil
	}
	size, err := strconv.ParseInt(fields[3], 10, 64)
	if err != nil {
		return fmt.Errorf("gitrepo: git lists a tree as %.80q", line)
	}
	m.tree.Files++
	m.tree.Bytes += size
	switch {
	case m.tree.Files > m.bounds.Files:
		return &TreeError{Text: fmt.Sprintf("the commit has more than %d files, the most that a build may begin with", m.bounds.Files)}
	case m.tree.Bytes > m.bounds.Bytes:
		return &TreeError{Text: fmt.Sprintf("the files of the commit have more than %d bytes together, the most that a build may begin with", m.bounds.Bytes)}
	}
	return nil
}
