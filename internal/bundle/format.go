package bundle

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/evanw/esbuild/pkg/api"
)

// format is how a worker offers its handlers.
type format int

const (
	modules       format = iota // exports of an ES module
	serviceWorker               // listeners added by a script
)

func (f format) kind() Kind {
	if f == serviceWorker {
		return CommonJS
	}
	return ESModule
}

// listenerMark stands for addEventListener while the format is found out.
const listenerMark = "__SELVAGE_EVENT_LISTENER__"

// metafile is what is read of esbuild's description of its output.
type metafile struct {
	Outputs map[string]struct {
		EntryPoint string   `json:"entryPoint"`
		Exports    []string `json:"exports"`
	} `json:"outputs"`
}

// exports returns what the only entry point exports.
func exports(meta string) ([]string, error) {
	var m metafile
	if err := json.Unmarshal([]byte(meta), &m); err != nil {
		return nil, fmt.Errorf("read the bundler's description: %w", err)
	}
	for _, out := range m.Outputs {
		if out.EntryPoint != "" {
			return out.Exports, nil
		}
	}
	return nil, fmt.Errorf("the bundler's description names no entry point")
}

// format finds out in which of the two formats Main is written: one
// without exports, or with named exports only beside addEventListener, is a
// service worker.
func (o *Options) format() (f format, warning string, err error) {
	r := api.Build(api.BuildOptions{
		EntryPoints: []string{o.Main}, AbsWorkingDir: o.Root, Outdir: o.Root, Metafile: true,
		Target: api.ES2024, Supported: supported(), Loader: loaders(), Tsconfig: o.TSConfig, LogLevel: api.LogLevelSilent,
		Define: map[string]string{
			"addEventListener": listenerMark, "globalThis.addEventListener": listenerMark, "self.addEventListener": listenerMark,
		},
	})
	if len(r.Errors) > 0 {
		return 0, "", o.failure(r.Errors, nil)
	}
	names, err := exports(r.Metafile)
	switch {
	case err != nil:
		return 0, "", err
	case len(names) == 0:
		return serviceWorker, "", nil
	case slices.Contains(names, "default"):
		return modules, "", nil
	}
	listens := slices.ContainsFunc(r.OutputFiles, func(f api.OutputFile) bool { return strings.Contains(string(f.Contents), listenerMark) })
	if listens {
		return serviceWorker, fmt.Sprintf("%s has exports but no default export, and it adds event listeners: it is built as a service worker", o.rel(o.Main)), nil
	}
	return modules, "", nil
}

// rel is a path as the user knows it.
func (o *Options) rel(path string) string {
	if rel, err := filepath.Rel(o.Root, path); err == nil {
		return filepath.ToSlash(rel)
	}
	return path
}

// supported is syntax newer than the target that workerd runs as it is.
func supported() map[string]bool { return map[string]bool{"import-source": true, "using": true} }

func loaders() map[string]api.Loader {
	return map[string]api.Loader{".js": api.LoaderJSX, ".mjs": api.LoaderJSX, ".cjs": api.LoaderJSX}
}
