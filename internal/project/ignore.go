package project

import (
	"regexp"
	"strings"
)

// Ignore is a list of patterns in the form of .gitignore.
type Ignore struct{ rules []ignoreRule }

type entryKind int

const (
	fileEntry entryKind = iota
	folderEntry
)

type ignoreRule struct {
	re      *regexp.Regexp
	negated bool
	folder  bool // only folders match
}

// ParseIgnore reads a file of patterns. A line that is no pattern matches nothing.
func ParseIgnore(text string) Ignore {
	var ig Ignore
	for line := range strings.Lines(strings.TrimPrefix(text, "\ufeff")) {
		line = strings.TrimRight(line, "\r\n")
		for strings.HasSuffix(line, " ") && !strings.HasSuffix(line, `\ `) {
			line = strings.TrimSuffix(line, " ")
		}
		if line == "" || line[0] == '#' {
			continue
		}
		var r ignoreRule
		if line, r.negated = strings.CutPrefix(line, "!"); line == "" {
			continue
		}
		if line, r.folder = strings.CutSuffix(line, "/"); line == "" {
			continue
		}
		re, err := regexp.Compile(ignorePattern(line))
		if err != nil {
			continue // a bracket that is never closed: git too takes it as matching nothing
		}
		r.re = re
		ig.rules = append(ig.rules, r)
	}
	return ig
}

// ignorePattern translates one pattern. One with a slash in it is relative to
// the folder of the file; another matches at any depth.
func ignorePattern(line string) string {
	var b strings.Builder
	b.WriteByte('^')
	rest, rooted := strings.CutPrefix(line, "/")
	if !rooted && !strings.Contains(rest, "/") {
		b.WriteString("(?:.*/)?")
	}
	for i := 0; i < len(rest); i++ {
		switch c := rest[i]; {
		case strings.HasPrefix(rest[i:], "**/"):
			b.WriteString("(?:.*/)?")
			i += 2
		case rest[i:] == "**" && i > 0 && rest[i-1] == '/':
			b.WriteString(".+")
			i++
		case c == '*':
			b.WriteString("[^/]*")
		case c == '?':
			b.WriteString("[^/]")
		case c == '[':
			end := strings.IndexByte(rest[i+1:], ']')
			if end < 1 {
				b.WriteString(`\[`)
				continue
			}
			class := rest[i+1 : i+1+end]
			if class[0] == '!' {
				class = "^" + class[1:]
			}
			b.WriteString("[" + strings.ReplaceAll(class, `\`, `\\`) + "]")
			i += end + 1
		case c == '\\' && i+1 < len(rest):
			i++
			b.WriteString(regexp.QuoteMeta(rest[i : i+1]))
		default:
			b.WriteString(regexp.QuoteMeta(rest[i : i+1]))
		}
	}
	b.WriteByte('$')
	return b.String()
}

// Match says whether a file is ignored, by its path with slashes. What lies in
// an ignored folder is ignored too, whatever else is said of it.
func (ig Ignore) Match(file string) bool {
	for i, c := range file {
		if c == '/' && ig.matches(file[:i], folderEntry) {
			return true
		}
	}
	return ig.matches(file, fileEntry)
}

func (ig Ignore) matches(path string, kind entryKind) bool {
	ignored := false
	for _, r := range ig.rules {
		if (!r.folder || kind == folderEntry) && r.re.MatchString(path) {
			ignored = !r.negated
		}
	}
	return ignored
}
