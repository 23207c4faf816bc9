package builds

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
)

// ignored says which files and folders are no part of a site: some at whatever depth, code at the top.
func ignored(p string) bool {
	return p == "_worker.js" || p == functionsDir || slices.Contains([]string{".git", "node_modules", ".DS_Store", ".wrangler"}, path.Base(p))
}

// maxWalk bounds the entries of an output folder that are looked at.
const maxWalk = 1_000_000

// collect lists the files of a site, sorted. A link counts as the file it leads
// to; one that leads out of the folder, to a folder, or nowhere is refused, and so
// is what is neither file, link nor folder. The root refuses to follow a link out of
// itself: not what this code thinks of a path counts, but what the kernel does.
func collect(root *os.Root, limit int) ([]string, error) {
	var files []string
	seen := 0
	err := fs.WalkDir(root.FS(), ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if seen++; seen > maxWalk {
			return failf("the output folder has more than %d entries", maxWalk)
		}
		if p == "." {
			return nil
		}
		if ignored(p) {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		switch {
		case d.IsDir():
			return nil
		case d.Type()&fs.ModeSymlink != 0:
			info, err := root.Stat(p)
			if err != nil {
				return failf("the link %q in the output folder leads out of it or nowhere; deploy the file itself", clean([]byte(p)))
			}
			if !info.Mode().IsRegular() {
				return failf("the link %q in the output folder leads to a folder or a device; deploy the files themselves", clean([]byte(p)))
			}
		case !d.Type().IsRegular():
			return failf("%q in the output folder is no file", clean([]byte(p)))
		}
		files = append(files, p)
		if len(files) > limit {
			return failf("the output folder has more than %d files, the most that a site may have", limit)
		}
		return nil
	})
	if err != nil {
		if say, ok := errors.AsType[*failure](err); ok {
			return nil, say
		}
		return nil, fmt.Errorf("builds: list the output: %w", err)
	}
	return files, nil
}
