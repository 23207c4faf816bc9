package functions

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/evanw/esbuild/pkg/api"
)

// Error is a folder of functions that cannot be built.
type Error struct{ Text string }

// Error returns the text.
func (e *Error) Error() string { return e.Text }

// Route is one file of functions.
type Route struct {
	File       string // absolute
	Segments   []Segment
	Mount      []Segment // of its folder
	Middleware bool
}

// maxFiles bounds the files of one folder.
const maxFiles = 10_000

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
			return nil, &Error{Text: fmt.Sprintf("the functions %s and %s have the same route %s", base(dir, out[i-1].File), base(dir, out[i].File), out[i].text())}
		}
	}
	return out, nil
}

func scanFile(dir, file string) (r Route, ok bool, err error) {
	ext := filepath.Ext(file)
	switch ext {
	case ".js", ".mjs", ".ts", ".tsx", ".jsx":
	default:
		return r, false, nil
	}
	if strings.HasSuffix(file, ".d.ts") {
		return r, false, nil
	}
	if !utf8.ValidString(file) {
		return r, false, &Error{Text: fmt.Sprintf("the function %q has a name that is no UTF-8; rename it", base(dir, file))}
	}
	if ok, err := hasHandler(dir, file); err != nil || !ok {
		return r, false, err
	}
	rel, err := filepath.Rel(dir, strings.TrimSuffix(file, ext))
	if err != nil {
		return r, false, err
	}
	folder, name := path.Split(filepath.ToSlash(rel))
	r = Route{File: file}
	switch name {
	case "_middleware", "_middleware_":
		r.Middleware = true
		rel = folder
	case "index":
		rel = folder
	default:
		rel = folder + name
	}
	if r.Segments, err = parse(rel, base(dir, file)); err != nil {
		return r, false, err
	}
	r.Mount, err = parse(folder, base(dir, file))
	return r, err == nil, err
}

// maxSource bounds a file of functions, in bytes.
const maxSource = 64 << 20

// hasHandler says whether a file exports a handler. The bundler looks at it alone; it reads only what can have one.
func hasHandler(dir, file string) (bool, error) {
	info, err := os.Stat(file)
	switch {
	case err != nil:
		return false, &Error{Text: fmt.Sprintf("the function %s cannot be read: a link that leads nowhere?", base(dir, file))}
	case !info.Mode().IsRegular():
		return false, nil
	case info.Size() > maxSource:
		return false, &Error{Text: fmt.Sprintf("the function %s is larger than %d bytes", base(dir, file), maxSource)}
	}
	text, err := os.ReadFile(file) //nolint:gosec // the user's own
	if err != nil || !bytes.Contains(text, []byte("onRequest")) {
		return false, err
	}
	// As text, for the bundler takes a path with a "*" for a pattern.
	built := api.Build(api.BuildOptions{
		Stdin:    &api.StdinOptions{Contents: string(text), Sourcefile: filepath.Base(file), Loader: loaderOf(file)},
		Metafile: true, LogLevel: api.LogLevelSilent,
	})
	if len(built.Errors) > 0 {
		return true, nil // the bundling that follows says what is wrong, with the line
	}
	var meta struct {
		Outputs map[string]struct {
			Exports []string `json:"exports"`
		} `json:"outputs"`
	}
	if err := json.Unmarshal([]byte(built.Metafile), &meta); err != nil {
		return false, fmt.Errorf("read the bundler's description of %s: %w", file, err)
	}
	for _, out := range meta.Outputs {
		if slices.ContainsFunc(out.Exports, handlerName.MatchString) {
			return true, nil
		}
	}
	return false, nil
}

func loaderOf(file string) api.Loader {
	switch filepath.Ext(file) {
	case ".ts":
		return api.LoaderTS
	case ".tsx":
		return api.LoaderTSX
	}
	return api.LoaderJSX
}

var handlerName = regexp.MustCompile(`^onRequest(Get|Post|Put|Patch|Delete|Options|Head)?$`)

// compare puts the longer path first, and of equally long ones the more exact: a text before a parameter, a parameter
// before all that follows.
func compare(a, b Route) int {
	if c := cmp.Compare(len(b.Segments), len(a.Segments)); c != 0 {
		return c
	}
	for i := range a.Segments {
		if c := cmp.Compare(a.Segments[i].rank(), b.Segments[i].rank()); c != 0 {
			return c
		}
	}
	return cmp.Or(strings.Compare(a.text(), b.text()), strings.Compare(a.File, b.File))
}

// text writes the route for people.
func (r *Route) text() string { return r.write(Segment.text) }

// path writes the route without the names of its parameters, for comparison.
func (r *Route) path() string {
	return r.write(func(s Segment) string { return strings.ToLower(s.shape()) })
}

func (r *Route) write(segment func(Segment) string) string {
	var b strings.Builder
	for _, s := range r.Segments {
		b.WriteByte('/')
		b.WriteString(segment(s))
	}
	return cmp.Or(b.String(), "/")
}

func base(dir, file string) string {
	if rel, err := filepath.Rel(dir, file); err == nil {
		return rel
	}
	return file
}
