package bundle

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
)

// maxAdditional bounds how many files a folder may bring.
const maxAdditional = 10_000

type walkRule struct {
	kind  Kind
	globs []*regexp.Regexp
}

// additional reads the files below ModuleRoot that match a rule, but for Main
// and the configuration.
func (o *Options) additional(ctx context.Context, set ruleSet) ([]Module, error) {
	var rules []walkRule
	for i := range set.active {
		r := &set.active[i]
		kind, _ := r.kind() // parseRules has checked it
		w := walkRule{kind: kind}
		for _, glob := range r.Globs {
			re, err := compileGlob(glob, true)
			if err != nil {
				return nil, err
			}
			w.globs = append(w.globs, re)
		}
		rules = append(rules, w)
	}
	var out []Module
	hidden := filepath.Join(o.Root, ".wrangler")
	err := filepath.WalkDir(o.ModuleRoot, func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case d.IsDir() && file == hidden:
			return filepath.SkipDir
		case d.IsDir(), file == o.Main, file == o.ConfigFile:
			return nil
		}
		rel, err := filepath.Rel(o.ModuleRoot, file)
		if err != nil {
			return err
		}
		name := filepath.ToSlash(rel)
		kind, ok := match(rules, name)
		if !ok {
			return nil
		}
		if len(out) == maxAdditional {
			return &Error{Text: fmt.Sprintf("more than %d files below %s match a module rule; narrow the globs, or set base_dir to a smaller folder", maxAdditional, o.rel(o.ModuleRoot))}
		}
		content, err := readFile(file)
		if err != nil {
			return err
		}
		out = append(out, Module{Name: name, Path: file, Kind: kind, Content: content})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("find additional modules: %w", err)
	}
	return out, nil
}

// match returns the kind by the first rule that matches.
func match(rules []walkRule, name string) (Kind, bool) {
	for _, r := range rules {
		if slices.ContainsFunc(r.globs, func(re *regexp.Regexp) bool { return re.MatchString(name) }) {
			return r.kind, true
		}
	}
	return "", false
}
