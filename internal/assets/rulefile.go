package assets

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Limits of the rule files, which are those of the platform but for the last two.
const (
	MaxHeaderRules      = 100
	MaxStaticRedirects  = 2000
	MaxDynamicRedirects = 100
	MaxRuleLine         = 2000 // characters
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
	line     int
	done     bool
	warnings []Warning
}

func newRuleFile(name, text string) *ruleFile {
	f := &ruleFile{name: name, rest: text}
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
		if len(line) > MaxRuleLine && utf8.RuneCountInString(line) > MaxRuleLine {
			f.warn("", "the line is longer than %d characters", MaxRuleLine)
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
