package gitrepo

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Heads maps each branch of a repository to its commit.
type Heads map[string]string

// Change is a branch that a push moved.
type Change struct {
	Branch string `json:"branch"`
	Commit string `json:"commit"` // 40 or 64 hex digits; empty: the branch was deleted
}

// changes are the branches that differ, by name.
func changes(before, after Heads) []Change {
	var out []Change
	for branch, commit := range after {
		if before[branch] != commit {
			out = append(out, Change{branch, commit})
		}
	}
	for branch := range before {
		if _, ok := after[branch]; !ok {
			out = append(out, Change{Branch: branch})
		}
	}
	slices.SortFunc(out, func(a, b Change) int { return strings.Compare(a.Branch, b.Branch) })
	return out
}

// maxRefs bounds the list of references, in bytes.
const maxRefs = 16 << 20

// heads reads the branches.
func (s *Store) heads(ctx context.Context, dir string) (Heads, error) {
	out := &bounded{limit: maxRefs}
	err := s.run(ctx, command{repo: dir, dir: dir, out: out, args: []string{"for-each-ref", "--format=%(objectname) %(objecttype) %(refname)", "refs/heads/"}})
	if err != nil {
		return nil, err
	}
	heads := make(Heads)
	for line := range strings.Lines(out.String()) {
		hash, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		kind, ref, _ := strings.Cut(rest, " ")
		branch, ok := strings.CutPrefix(ref, "refs/heads/")
		if ok && kind == "commit" && isHash(hash) {
			heads[branch] = hash
		}
	}
	return heads, nil
}

// Heads returns the branches of a repository.
func (s *Store) Heads(ctx context.Context, id string) (Heads, error) {
	dir, err := s.path(id)
	if err != nil {
		return nil, err
	}
	return s.heads(ctx, dir)
}

// maxMessage bounds what is read of a commit, in bytes.
const maxMessage = 64 << 10

// Message returns the message of a commit, as valid UTF-8. [ErrNotFound] when
// there is none of this hash.
func (s *Store) Message(ctx context.Context, id, commit string) (string, error) {
	dir, err := s.path(id)
	if err != nil {
		return "", err
	}
	if !isHash(commit) {
		return "", fmt.Errorf("gitrepo: commit %.80q: %w", commit, ErrNotFound)
	}
	out := &bounded{limit: maxMessage, cut: true}
	err = s.run(ctx, command{repo: dir, dir: dir, out: out, args: []string{"log", "-1", "--no-show-signature", "--format=%B", "--encoding=UTF-8", commit}})
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	return strings.TrimSpace(strings.ToValidUTF8(out.String(), string(utf8.RuneError))), nil
}

func isHash(s string) bool {
	if len(s) != 40 && len(s) != 64 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// ValidBranch reports whether git can have a branch of this name
// (git-check-ref-format(1)).
func ValidBranch(b string) bool {
	if b == "" || len(b) > 250 || b[0] == '-' || b == "@" || b == "HEAD" || b[len(b)-1] == '/' || b[len(b)-1] == '.' || strings.Contains(b, "..") ||
		strings.Contains(b, "@{") || strings.Contains(b, "//") {
		return false
	}
	for part := range strings.SplitSeq(b, "/") {
		if part == "" || part[0] == '.' || strings.HasSuffix(part, ".lock") {
			return false
		}
	}
	return !strings.ContainsFunc(b, func(r rune) bool { return r <= ' ' || r == 0x7f || strings.ContainsRune("~^:?*[\\", r) })
}

// bounded keeps up to limit bytes; more is an error, or with cut dropped.
type bounded struct {
	buf   bytes.Buffer // not embedded: io.Copy would find its ReadFrom, which has no bound
	limit int
	cut   bool
}

// String returns what was kept.
func (b *bounded) String() string { return b.buf.String() }

// Write implements io.Writer.
func (b *bounded) Write(p []byte) (int, error) {
	n := len(p)
	if room := b.limit - b.buf.Len(); n > room {
		if !b.cut {
			return 0, fmt.Errorf("gitrepo: git says more than %d bytes", b.limit)
		}
		p = p[:room]
	}
	_, err := b.buf.Write(p)
	return n, err
}
