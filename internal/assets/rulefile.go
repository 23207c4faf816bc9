package assets

import (
	"cmp"
	"fmt"
	"strings"
	"unicode/utf8"
)

// RuleLimits bound the rules of an app. The zero value of a field stands for the platform's limit.
type RuleLimits struct {
	// HeaderRules is the number of rules in _headers. Default 100.
	HeaderRules int
	// StaticRedirects and DynamicRedirects are the numbers of rules in _redirects without wildcards and
	// with them. Defaults 2,000 and 100.
	StaticRedirects, DynamicRedirects int
	// Line is the length of a line in characters. Default 2,000.
	Line int
}

func (l RuleLimits) withDefaults() RuleLimits {
	return RuleLimits{
		HeaderRules:      cmp.Or(l.HeaderRules, 100),
		StaticRedirects:  cmp.Or(l.StaticRedirects, 2000),
		DynamicRedirects: cmp.Or(l.DynamicRedirects, 100),
		Line:             cmp.Or(l.Line, 2000),
	}
}

const (
	// MaxRuleFile is the size in bytes up to which a rule file is read.
	MaxRuleFile = 5 << 20
	// MaxWarnings is the number of warnings kept for a file.
	MaxWarnings = 100
)

// Warning says that a line of a rule file was ignored, and why.
type Warning struct {
	// File is "_headers" or "_redirects".
	File string `json:"file"`
	// Line counts from 1.
	Line int `json:"line"`
	// Text is the line, shortened.
	Text string `json:"text,omitempty"`
	// Message says what is wrong.
	Message string `json:"message"`
}

// String returns the warning in the form file:line: message.
func (w Warning) String() string {
	return fmt.Sprintf("%s:%d: %s", w.File, w.Line, w.Message)
}

// ruleFile walks the lines of a rule file.
type ruleFile struct {
	name     string
	rest     string
	longest  int // characters of a line
	line     int
	done     bool
	warnings []Warning
}

func newRuleFile(name, text string, l RuleLimits) *ruleFile {
	f := &ruleFile{name: name, rest: text, longest: l.Line}
	if len(text) > MaxRuleFile {
		f.rest = text[:MaxRuleFile]
		f.rest = f.rest[:strings.LastIndexByte(f.rest, '\n')+1]
		f.warn("", "the file is larger than %d bytes; the lines beyond are ignored", MaxRuleFile)
	}
	return f
}

// next returns the next line that is neither empty, a comment nor too long.
func (f *ruleFile) next() (string, bool) {
	for !f.done && f.rest != "" {
		var line string
		line, f.rest, _ = strings.Cut(f.rest, "\n")
		f.line++
		line = strings.TrimSpace(strings.TrimPrefix(line, "\ufeff"))
		if line == "" || line[0] == '#' {
			continue
		}
		if len(line) > f.longest && utf8.RuneCountInString(line) > f.longest {
			f.warn("", "the line is longer than %d characters", f.longest)
			continue
		}
		return line, true
	}
	return "", false
}

// stop makes next return false from now on.
func (f *ruleFile) stop() { f.done = true }

func (f *ruleFile) warn(text, format string, args ...any) { f.warnAt(f.line, text, format, args...) }

func (f *ruleFile) warnAt(line int, text, format string, args ...any) {
	switch {
	case len(f.warnings) == MaxWarnings:
		f.warnings = append(f.warnings, Warning{File: f.name, Line: line, Message: "more lines were ignored; this is the last warning"})
	case len(f.warnings) < MaxWarnings:
		f.warnings = append(f.warnings, Warning{File: f.name, Line: line, Text: clip(text), Message: fmt.Sprintf(format, args...)})
	}
}

// splitURL takes a rule's URL apart: host is "" for one that starts with "/". For anything else ok is
// false. The path keeps its query and fragment.
func splitURL(token string) (host, path string, ok bool) {
	if rest, abs := strings.CutPrefix(token, "https://"); abs {
		rest = strings.TrimLeft(rest, "/")
		host, path, _ = strings.Cut(rest, "/")
		return host, "/" + path, host != ""
	}
	return "", token, strings.HasPrefix(token, "/")
}

// sourcePath normalises the path of a rule's source as that of a request is, without query and
// fragment, so that the two compare.
func sourcePath(path string) string {
	if i := strings.IndexAny(path, "?#"); i >= 0 {
		path = path[:i]
	}
	return normalizePath(path)
}
