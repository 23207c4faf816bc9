package pages

import (
	"strings"
	"unicode/utf8"
)

const (
	maxName   = 58 // bytes; a label has 63
	maxAlias  = 28 // bytes of a branch in a hostname
	maxBranch = 256
	shortLen  = 8 // digits of a deployment's id in its hostname
)

// checkName refuses what cannot be a project's name: it is a label of hostnames.
func checkName(name string) error {
	if name == "" || len(name) > maxName || name[0] == '-' || name[len(name)-1] == '-' {
		return fail(CodeInvalidName, 400, "The project name %q is not allowed. It must have 1 to %d characters of a-z, 0-9 and -, and not begin or end with -.", clip(name), maxName)
	}
	for i := range len(name) {
		if !isLabelByte(name[i]) {
			return fail(CodeInvalidName, 400, "The project name %q is not allowed. It must have 1 to %d characters of a-z, 0-9 and -, and not begin or end with -.", clip(name), maxName)
		}
	}
	return nil
}

func isLabelByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-'
}

// Alias returns the label of a branch, as the original platform makes it: lower
// case, "-" for each character that a label cannot have, at most 28 bytes. It is "" for a
// branch of which nothing is left. Two branches may have one alias, which then
// leads to the one deployed last.
func Alias(branch string) string {
	s := strings.Map(func(r rune) rune {
		if r < utf8.RuneSelf && isLabelByte(byte(r)) { //nolint:gosec // it is ASCII
			return r
		}
		return '-'
	}, strings.ToLower(branch))
	s = strings.TrimLeft(s, "-")
	return strings.TrimRight(s[:min(len(s), maxAlias)], "-")
}

// checkBranch refuses what no branch is called.
func checkBranch(branch string) error {
	if branch == "" || len(branch) > maxBranch || strings.ContainsFunc(branch, isControl) {
		return fail(CodeInvalidRequest, 400, "The branch %q is not allowed. It must have 1 to %d bytes and no control characters.", clip(branch), maxBranch)
	}
	return nil
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

func isHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
