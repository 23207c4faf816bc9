package cli

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/selvage-dev/selvage/client"
)

// repository reads the branch and commit of the git repository that a folder is
// in, from its files: this program starts no other. Without a repository, or on no
// branch, what is not known is empty.
func repository(dir string) (client.PagesCommit, error) {
	var commit client.PagesCommit
	for {
		git := filepath.Join(dir, ".git")
		info, err := os.Stat(git)
		switch {
		case err == nil && info.IsDir():
			return readHead(git)
		case err == nil: // a worktree: its folder is elsewhere
			text, err := os.ReadFile(git) //nolint:gosec // the user's own
			target, ok := strings.CutPrefix(strings.TrimSpace(string(text)), "gitdir: ")
			if err != nil || !ok {
				return commit, nil //nolint:nilerr // whatever it is, it is no repository
			}
			if !filepath.IsAbs(target) {
				target = filepath.Join(dir, target)
			}
			return readHead(target)
		case !errors.Is(err, os.ErrNotExist):
			return commit, fmt.Errorf("look for a git repository: %w", err)
		}
		up := filepath.Dir(dir)
		if up == dir {
			return commit, nil
		}
		dir = up
	}
}

func readHead(git string) (client.PagesCommit, error) {
	var commit client.PagesCommit
	text, err := os.ReadFile(filepath.Join(git, "HEAD")) //nolint:gosec // the user's own
	if err != nil {
		return commit, fmt.Errorf("read the git repository: %w", err)
	}
	head := strings.TrimSpace(string(text))
	ref, ok := strings.CutPrefix(head, "ref: ")
	if !ok {
		commit.Hash = head
		return commit, nil
	}
	commit.Branch = strings.TrimPrefix(ref, "refs/heads/")
	if !filepath.IsLocal(filepath.FromSlash(ref)) {
		return commit, nil
	}
	shared := git
	if text, err := os.ReadFile(filepath.Join(git, "commondir")); err == nil { //nolint:gosec // the user's own
		shared = filepath.Join(git, strings.TrimSpace(string(text)))
	}
	if text, err := os.ReadFile(filepath.Join(shared, filepath.FromSlash(ref))); err == nil { //nolint:gosec // the user's own
		commit.Hash = strings.TrimSpace(string(text))
		return commit, nil
	}
	packed, err := os.ReadFile(filepath.Join(shared, "packed-refs")) //nolint:gosec // the user's own
	if err != nil {
		return commit, nil //nolint:nilerr // a branch without a commit yet
	}
	for lines := bufio.NewScanner(bytes.NewReader(packed)); lines.Scan(); {
		if hash, name, ok := strings.Cut(lines.Text(), " "); ok && name == ref {
			commit.Hash = hash
		}
	}
	return commit, nil
}
