package functions

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Error is a folder of functions that cannot be built.
type Error struct{ Text string }

// Error returns the text.
func (e *Error) Error() string { return e.Text }

// Segment is a part of a route's path: one of its fields is set.
type Segment struct {
	Static string `json:"s,omitempty"`
	Param  string `json:"p,omitempty"` // one segment of any text
	Rest   string `json:"r,omitempty"` // all that follow, if any
}

// Route is one file of functions.
type Route struct {
	File       string // absolute
	Segments   []Segment
	Mount      string // path of its folder
	Middleware bool
}

// maxFiles bounds the files of one folder.
const maxFiles = 10_000

var paramName = regexp.MustCompile(`^[A-Za-z_$][A-Za-z0-9_$]*$`)

// Scan reads a folder of functions. Files that have no handler are left out: they
// are what the others import. The error is an [*Error] when a name is no route.
func Scan(dir string) ([]Route, error) {
	var out []Route
	err := filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if d.Name() == "node_modules" {
				return filepath.SkipDir
			}
			return nil
		}
		r, ok, err := scanFile(dir, file)
		if ok {
			out = append(out, r)
		}
		if len(out) > maxFiles {
			return &Error{Text: fmt.Sprintf("the folder of functions has more than %d files", maxFiles)}
		}
		return err
	})
	if err != nil {
		if own, ok := errors.AsType[*Error](err); ok {
			return nil, own
		}
		return nil, fmt.Errorf("read the folder of functions: %w", err)
	}
	slices.SortFunc(out, compare)
	for i := 1; i < len(out); i++ {
		if out[i].Middleware == out[i-1].Middleware && out[i].path() == out[i-1].path() {
			return nil, &Error{Text: fmt.Sprintf("the functions %s and %s have the same route %s", base(dir, out[i-1].File), base(dir, out[i].File), out[i].path())}
		}
	}
	return out, nil
}

func scanFile(dir, file string) (r Route, ok bool, err error) {
	ext := filepath.Ext(file)
	switch ext {
	case ".js", ".mjs", ".cjs", ".ts", ".mts", ".tsx", ".jsx":
	default:
		return r, false, nil
	}
	if strings.HasSuffix(file, ".d.ts") {
		return r, false, nil
	}
	text, err := os.ReadFile(file) //nolint:gosec // the user's own
	if err != nil || !bytes.Contains(text, []byte("onRequest")) {
		return r, false, err
	}
	rel, err := filepath.Rel(dir, strings.TrimSuffix(file, ext))
	if err != nil {
		return r, false, err
	}
	folder, name := path.Split(filepath.ToSlash(rel))
	r = Route{File: file, Mount: "/" + strings.TrimSuffix(folder, "/")}
	switch name {
	case "_middleware":
		r.Middleware = true
		rel = folder
	case "index":
		rel = folder
	default:
		rel = folder + name
	}
	r.Segments, err = segments(strings.Trim(rel, "/"), base(dir, file))
	return r, err == nil, err
}

func segments(rel, file string) (out []Segment, err error) {
	if rel == "" {
		return nil, nil
	}
	parts := strings.Split(rel, "/")
	for i, part := range parts {
		var s Segment
		switch {
		case strings.HasPrefix(part, "[[") && strings.HasSuffix(part, "]]"):
			if s.Rest = part[2 : len(part)-2]; i != len(parts)-1 {
				return nil, &Error{Text: fmt.Sprintf("the function %s has %s before the end of its path; it stands for all that follows", file, part)}
			}
		case strings.HasPrefix(part, "[") && strings.HasSuffix(part, "]"):
			s.Param = part[1 : len(part)-1]
		default:
			s.Static = part
		}
		if name := s.Param + s.Rest; s.Static == "" && !paramName.MatchString(name) {
			return nil, &Error{Text: fmt.Sprintf("the function %s has a parameter %q; a name has letters, digits, _ and $", file, name)}
		}
		out = append(out, s)
	}
	return out, nil
}

// compare puts what is more exact first: a text before a parameter, a parameter
// before all that follows, and a longer path before a shorter one.
func compare(a, b Route) int {
	for i := range min(len(a.Segments), len(b.Segments)) {
		if c := cmp.Or(cmp.Compare(a.Segments[i].rank(), b.Segments[i].rank()), strings.Compare(a.Segments[i].Static, b.Segments[i].Static)); c != 0 {
			return c
		}
	}
	return cmp.Or(cmp.Compare(len(b.Segments), len(a.Segments)), strings.Compare(a.File, b.File))
}

func (s Segment) rank() int {
	switch {
	case s.Static != "":
		return 0
	case s.Param != "":
		return 1
	}
	return 2
}

// path writes the route without the names of its parameters, for comparison.
func (r *Route) path() string {
	var b strings.Builder
	for _, s := range r.Segments {
		b.WriteByte('/')
		switch {
		case s.Static != "":
			b.WriteString(strings.ToLower(s.Static))
		case s.Param != "":
			b.WriteByte(':')
		default:
			b.WriteByte('*')
		}
	}
	return cmp.Or(b.String(), "/")
}

func base(dir, file string) string {
	if rel, err := filepath.Rel(dir, file); err == nil {
		return rel
	}
	return file
}
