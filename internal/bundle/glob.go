package bundle

import (
	"regexp"
	"strings"
)

// globPattern translates a glob of a module rule. In an import any "*" also
// matches slashes; among the files of a folder (walk) only "**" between slashes
// does. All else stands for itself.
func globPattern(glob string, walk bool) string {
	var b strings.Builder
	b.WriteByte('^')
	for i := 0; i < len(glob); i++ {
		if glob[i] != '*' {
			b.WriteString(regexp.QuoteMeta(glob[i : i+1]))
			continue
		}
		start := i
		for i+1 < len(glob) && glob[i+1] == '*' {
			i++
		}
		switch {
		case !walk:
			b.WriteString(".*")
		case i > start && (start == 0 || glob[start-1] == '/') && (i+1 == len(glob) || glob[i+1] == '/'):
			b.WriteString("(?:[^/]*(?:/|$))*")
			i++ // the slash is part of it
		default:
			b.WriteString("[^/]*")
		}
	}
	b.WriteByte('$')
	return b.String()
}

func compileGlob(glob string, walk bool) (*regexp.Regexp, error) {
	re, err := regexp.Compile(globPattern(glob, walk))
	if err != nil { // a glob that is not UTF-8
		return nil, &Error{Text: "the module rule's glob " + quote(glob) + " cannot be used: " + err.Error()}
	}
	return re, nil
}
