package bundle

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Rule says which imported files are modules of their own, and of what kind.
type Rule struct {
	// Type is ESModule, CommonJS, CompiledWasm, Text or Data.
	Type  string   `json:"type"`
	Globs []string `json:"globs"`
	// Fallthrough lets later rules of the same type count too. An explicit false
	// says that the default rule of the type is meant to be replaced.
	Fallthrough *bool `json:"fallthrough,omitempty"`
}

func defaultRules() []Rule {
	return []Rule{
		{Type: "Text", Globs: []string{"**/*.txt", "**/*.html", "**/*.sql"}},
		{Type: "Data", Globs: []string{"**/*.bin"}},
		{Type: "CompiledWasm", Globs: []string{"**/*.wasm", "**/*.wasm?module"}},
	}
}

func (r *Rule) kind() (Kind, bool) {
	kinds := map[string]Kind{"ESModule": ESModule, "CommonJS": CommonJS, "CompiledWasm": CompiledWasm, "Text": Text, "Data": Data}
	k, ok := kinds[r.Type]
	return k, ok
}

func (r *Rule) script() bool { return r.Type == "ESModule" || r.Type == "CommonJS" }

func (r *Rule) String() string {
	text, err := json.Marshal(r)
	if err != nil {
		return r.Type
	}
	return string(text)
}

// ruleSet is the rules in force and those that an earlier rule of their type shadows.
type ruleSet struct {
	active, shadowed []Rule
	warnings         []string
}

// parseRules puts the default rules behind a project's own. A rule that does
// not fall through ends its type: later rules of that type are shadowed.
func parseRules(own []Rule) (ruleSet, error) {
	var set ruleSet
	ended := map[string]Rule{}
	ignored := map[string][]string{}
	var order []string
	for i, r := range slices.Concat(own, defaultRules()) {
		if _, ok := r.kind(); !ok {
			return set, &Error{Text: fmt.Sprintf("rules[%d] is of type %q; selvage knows ESModule, CommonJS, CompiledWasm, Text and Data", i, r.Type)}
		}
		end, done := ended[r.Type]
		if !done {
			set.active = append(set.active, r)
			if r.Fallthrough == nil || !*r.Fallthrough {
				ended[r.Type] = r
				order = append(order, r.Type)
			}
			continue
		}
		set.shadowed = append(set.shadowed, r)
		if end.Fallthrough == nil {
			text := r.String()
			if i >= len(own) {
				text += " (the default)"
			}
			ignored[r.Type] = append(ignored[r.Type], text)
		}
	}
	for _, typ := range order {
		if len(ignored[typ]) > 0 {
			end := ended[typ]
			set.warnings = append(set.warnings, "the module rule "+end.String()+" ends its type, so these rules are ignored: "+
				strings.Join(ignored[typ], ", ")+`. Add "fallthrough": true to use them too, or "fallthrough": false to say that this is meant.`)
		}
	}
	return set, nil
}

func quote(s string) string { return strconv.Quote(s) }
