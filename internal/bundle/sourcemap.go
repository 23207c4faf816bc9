package bundle

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
)

// cleanMap makes the sources of a map relative to the project, without a way
// out of it, and names the module that it is of.
func cleanMap(text []byte, module string) ([]byte, error) {
	var m map[string]json.RawMessage
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, fmt.Errorf("read the source map of %s: %w", module, err)
	}
	var sources []string
	if err := json.Unmarshal(m["sources"], &sources); err != nil {
		return nil, fmt.Errorf("read the sources in the source map of %s: %w", module, err)
	}
	for i, s := range sources {
		sources[i] = cleanPrefix(s)
	}
	var err error
	if m["sources"], err = json.Marshal(sources); err != nil {
		return nil, err
	}
	if m["file"], err = json.Marshal(module); err != nil {
		return nil, err
	}
	return json.Marshal(m)
}

func cleanPrefix(p string) string {
	for {
		rest, ok := strings.CutPrefix(p, "./")
		if !ok {
			if rest, ok = strings.CutPrefix(p, "../"); !ok {
				return p
			}
		}
		p = rest
	}
}

var mapComment = regexp.MustCompile(`(?m)^//[#@] sourceMappingURL=(\S+)\s*\z`)

// sourceMapOf returns the map that lies beside a script which was not bundled.
// One that is missing or damaged is left out: the worker runs without it.
func sourceMapOf(m Module) (Module, bool) {
	if m.Kind != ESModule && m.Kind != CommonJS {
		return Module{}, false
	}
	found := mapComment.FindSubmatch(m.Content)
	if found == nil || strings.Contains(string(found[1]), ":") {
		return Module{}, false
	}
	text, err := readFile(filepath.Join(filepath.Dir(m.Path), filepath.FromSlash(string(found[1]))))
	if err != nil {
		return Module{}, false
	}
	clean, err := cleanMap(text, m.Name)
	if err != nil {
		return Module{}, false
	}
	return Module{Name: m.Name + ".map", Kind: SourceMap, Content: clean}, true
}
