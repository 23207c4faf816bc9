package jinja

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// textMethod is a method of a text, or nil.
func (m *machine) textMethod(s, field string) Value {
	method, ok := m.tables.methods[field]
	if !ok {
		return nil
	}
	return &function{field, func(m *machine, a *args) Value {
		m.work(2 * len(s)) // what it reads, and perhaps writes
		return method(m, s, a)
	}}
}

func textMethods() map[string]func(m *machine, s string, a *args) Value {
	return map[string]func(m *machine, s string, a *args) Value{
		"upper":      func(_ *machine, s string, _ *args) Value { return strings.ToUpper(s) },
		"lower":      func(_ *machine, s string, _ *args) Value { return strings.ToLower(s) },
		"casefold":   func(_ *machine, s string, _ *args) Value { return strings.ToLower(s) },
		"capitalize": func(_ *machine, s string, _ *args) Value { return capitalize(s) },
		"title":      func(_ *machine, s string, _ *args) Value { return title(s) },
		"isdigit":    func(_ *machine, s string, _ *args) Value { return all(s, unicode.IsDigit) },
		"isnumeric":  func(_ *machine, s string, _ *args) Value { return all(s, unicode.IsNumber) },
		"isalpha":    func(_ *machine, s string, _ *args) Value { return all(s, unicode.IsLetter) },
		"isalnum": func(_ *machine, s string, _ *args) Value {
			return all(s, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) })
		},
		"isspace":    func(_ *machine, s string, _ *args) Value { return all(s, unicode.IsSpace) },
		"isupper":    func(_ *machine, s string, _ *args) Value { return s != strings.ToLower(s) && s == strings.ToUpper(s) },
		"islower":    func(_ *machine, s string, _ *args) Value { return s != strings.ToUpper(s) && s == strings.ToLower(s) },
		"strip":      func(m *machine, s string, a *args) Value { return strip(m, s, a, true, true) },
		"lstrip":     func(m *machine, s string, a *args) Value { return strip(m, s, a, true, false) },
		"rstrip":     func(m *machine, s string, a *args) Value { return strip(m, s, a, false, true) },
		"split":      func(m *machine, s string, a *args) Value { return split(m, s, a, false) },
		"rsplit":     func(m *machine, s string, a *args) Value { return split(m, s, a, true) },
		"splitlines": func(m *machine, s string, _ *args) Value { return lines(m, s) },
		"startswith": func(m *machine, s string, a *args) Value { return affix(m, a, s, strings.HasPrefix) },
		"endswith":   func(m *machine, s string, a *args) Value { return affix(m, a, s, strings.HasSuffix) },
		"replace": func(m *machine, s string, a *args) Value {
			return replace(m, s, a.str(m, 0, "", ""), a.str(m, 1, "", ""), a.integer(m, 2, "count", -1))
		},
		"find":         func(m *machine, s string, a *args) Value { return place(s, strings.Index(s, a.str(m, 0, "", ""))) },
		"rfind":        func(m *machine, s string, a *args) Value { return place(s, strings.LastIndex(s, a.str(m, 0, "", ""))) },
		"count":        func(m *machine, s string, a *args) Value { return int64(strings.Count(s, a.str(m, 0, "", ""))) },
		"join":         func(m *machine, s string, a *args) Value { return m.join(m.iterate(one(m, a)), s) },
		"removeprefix": func(m *machine, s string, a *args) Value { return strings.TrimPrefix(s, a.str(m, 0, "", "")) },
		"removesuffix": func(m *machine, s string, a *args) Value { return strings.TrimSuffix(s, a.str(m, 0, "", "")) },
		"partition": func(m *machine, s string, a *args) Value {
			sep := separator(m, a)
			if before, after, ok := strings.Cut(s, sep); ok {
				return &List{Items: []Value{before, sep, after}, tuple: true}
			}
			return &List{Items: []Value{s, "", ""}, tuple: true}
		},
	}
}

// one returns the only argument.
func one(m *machine, a *args) Value {
	if len(a.list) == 0 {
		m.fail("an argument is missing")
	}
	return a.list[0]
}

func separator(m *machine, a *args) string {
	sep := a.str(m, 0, "sep", "")
	if sep == "" {
		m.fail("the separator is empty")
	}
	return sep
}

func all(s string, is func(rune) bool) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool { return !is(r) }) < 0
}

// place is a position in characters.
func place(s string, i int) Value {
	if i < 0 {
		return int64(-1)
	}
	return int64(utf8.RuneCountInString(s[:i]))
}

func strip(m *machine, s string, a *args, left, right bool) string { //nolint:revive // the sides
	set := a.str(m, 0, "chars", "")
	cut := unicode.IsSpace
	if set != "" {
		cut = func(r rune) bool { return strings.ContainsRune(set, r) }
	}
	if left {
		s = strings.TrimLeftFunc(s, cut)
	}
	if right {
		s = strings.TrimRightFunc(s, cut)
	}
	return s
}

func affix(m *machine, a *args, s string, has func(s, part string) bool) bool {
	if l, ok := one(m, a).(*List); ok {
		for _, v := range l.Items {
			if part, isText := v.(string); isText && has(s, part) {
				return true
			}
		}
		return false
	}
	return has(s, a.str(m, 0, "", ""))
}

func replace(m *machine, s, old, with string, count int64) string {
	n := int(max(-1, min(count, int64(len(s)+1))))
	if grow := len(with) - len(old); grow > 0 {
		hits := strings.Count(s, old)
		if n >= 0 {
			hits = min(hits, n)
		}
		m.work(hits * grow)
	}
	m.work(len(s))
	return strings.Replace(s, old, with, n)
}

func lines(m *machine, s string) Value {
	l := &List{}
	s = strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
	for line := range strings.SplitSeq(strings.TrimSuffix(s, "\n"), "\n") {
		m.step(1)
		l.Items = append(l.Items, line)
	}
	if s == "" {
		return &List{}
	}
	return l
}

// split is that of Python: without a separator it cuts at white space.
func split(m *machine, s string, a *args, fromRight bool) Value { //nolint:revive // which of two methods
	most := a.integer(m, 1, "maxsplit", -1)
	if v, ok := a.argument(0, "sep"); !ok || v == nil {
		return splitSpace(m, s, most, fromRight)
	}
	sep := separator(m, a)
	parts := strings.Split(s, sep)
	m.step(len(parts))
	if most >= 0 && int64(len(parts)) > most+1 {
		k := int(most)
		if fromRight {
			cut := len(parts) - k
			parts = append([]string{strings.Join(parts[:cut], sep)}, parts[cut:]...)
		} else {
			parts = append(parts[:k:k], strings.Join(parts[k:], sep))
		}
	}
	return texts(parts)
}

func splitSpace(m *machine, s string, most int64, fromRight bool) Value { //nolint:revive // which of two methods
	parts := strings.Fields(s)
	m.step(len(parts))
	if most < 0 || int64(len(parts)) <= most+1 {
		return texts(parts)
	}
	if fromRight {
		m.fail("rsplit by white space with a bound is not taken in a chat template")
	}
	parts = parts[:0]
	rest := strings.TrimLeftFunc(s, unicode.IsSpace)
	for range most {
		i := strings.IndexFunc(rest, unicode.IsSpace)
		parts = append(parts, rest[:i])
		rest = strings.TrimLeftFunc(rest[i:], unicode.IsSpace)
	}
	return texts(append(parts, rest))
}

func texts(parts []string) *List {
	l := &List{Items: make([]Value, len(parts))}
	for i, p := range parts {
		l.Items[i] = p
	}
	return l
}

func capitalize(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	if n == 0 {
		return ""
	}
	return strings.ToUpper(string(r)) + strings.ToLower(s[n:])
}

// title begins each word with a capital.
func title(s string) string {
	inWord := false
	return strings.Map(func(r rune) rune {
		was := inWord
		inWord = unicode.IsLetter(r)
		if inWord && !was {
			return unicode.ToTitle(r)
		}
		return unicode.ToLower(r)
	}, s)
}
