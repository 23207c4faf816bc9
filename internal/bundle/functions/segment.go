package functions

import (
	"fmt"
	"regexp"
	"strings"
)

// Segment is a part of a route's path, in pieces.
type Segment []Piece

// Piece is a text or a parameter: one of its fields is set.
type Piece struct {
	Text  string
	Param string // any text without a slash
	Rest  string // all segments that follow, if any; then it is the only piece
}

// Param is a parameter of a route.
type Param struct {
	Name string `json:"name"`
	Rest bool   `json:"rest,omitempty"`
}

var (
	paramName = regexp.MustCompile(`^[A-Za-z0-9_$]+$`)
	brackets  = regexp.MustCompile(`\[([^\[\]]*)\]`)
)

// parse reads the path of a file below the folder of functions, without its extension.
func parse(rel, file string) ([]Segment, error) {
	rel = strings.Trim(rel, "/")
	if rel == "" {
		return nil, nil
	}
	var out []Segment
	parts := strings.Split(rel, "/")
	for i, part := range parts {
		s, err := parseSegment(part, file)
		if err != nil {
			return nil, err
		}
		if s[0].Rest != "" && i != len(parts)-1 {
			return nil, &Error{Text: fmt.Sprintf("the function %s has %s before the end of its path; it stands for all that follows", file, part)}
		}
		out = append(out, s)
	}
	return out, nil
}

func parseSegment(part, file string) (Segment, error) {
	check := func(name string) error {
		if !paramName.MatchString(name) {
			return &Error{Text: fmt.Sprintf("the function %s has a parameter %q; a name has letters, digits, _ and $", file, name)}
		}
		return nil
	}
	if strings.HasPrefix(part, "[[") && strings.HasSuffix(part, "]]") {
		name := part[2 : len(part)-2]
		return Segment{{Rest: name}}, check(name)
	}
	if strings.Contains(part, "[[") {
		return nil, &Error{Text: fmt.Sprintf("the function %s has %s: what stands for all that follows can have no other text beside it", file, part)}
	}
	var s Segment
	at := 0
	for _, m := range brackets.FindAllStringSubmatchIndex(part, -1) {
		if m[0] > at {
			s = append(s, Piece{Text: part[at:m[0]]})
		}
		name := part[m[2]:m[3]]
		if err := check(name); err != nil {
			return nil, err
		}
		s = append(s, Piece{Param: name})
		at = m[1]
	}
	if at < len(part) || len(s) == 0 {
		s = append(s, Piece{Text: part[at:]})
	}
	return s, nil
}

// rank is 0 for a text, 1 with a parameter, 2 for all that follows.
func (s Segment) rank() int {
	rank := 0
	for _, p := range s {
		switch {
		case p.Rest != "":
			return 2
		case p.Param != "":
			rank = 1
		}
	}
	return rank
}

func (s Segment) text() string {
	var b strings.Builder
	for _, p := range s {
		switch {
		case p.Rest != "":
			b.WriteString("[[" + p.Rest + "]]")
		case p.Param != "":
			b.WriteString("[" + p.Param + "]")
		default:
			b.WriteString(p.Text)
		}
	}
	return b.String()
}

// shape is the text with nameless parameters.
func (s Segment) shape() string {
	var b strings.Builder
	for _, p := range s {
		switch {
		case p.Rest != "":
			b.WriteString("[[]]")
		case p.Param != "":
			b.WriteString("[]")
		default:
			b.WriteString(p.Text)
		}
	}
	return b.String()
}

// Texts of regular expressions of JavaScript.
const (
	anyPattern  = `([^/#?]+?)`
	restPattern = `(?:/([^/#?]+?(?:/[^/#?]+?)*))?`
)

// expression is what the segments match, as the text of a regular expression of JavaScript without its ends.
func expression(segments []Segment) string {
	if len(segments) == 0 {
		return "/"
	}
	var b strings.Builder
	for _, s := range segments {
		if s[0].Rest != "" {
			b.WriteString(restPattern)
			continue
		}
		b.WriteByte('/')
		for _, p := range s {
			if p.Param != "" {
				b.WriteString(anyPattern)
			} else {
				b.WriteString(literal(p.Text))
			}
		}
	}
	return b.String()
}

// exact matches a whole path, with a slash at its end or without.
func exact(segments []Segment) string { return "^" + expression(segments) + "/?$" }

// prefix matches a path that begins with the segments.
func prefix(segments []Segment) string {
	e := "^" + expression(segments) + "(?:/(?=$))?"
	if len(segments) > 0 {
		e += "(?=/|$)"
	}
	return e
}

// literal is a text in a regular expression. Whatever has a meaning there is written by its number, which has none.
func literal(text string) string {
	var b strings.Builder
	for _, r := range text {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-' {
			b.WriteRune(r)
			continue
		}
		if r > 0xffff { // as two units, which is how a path has it
			r -= 0x10000
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
			continue
		}
		fmt.Fprintf(&b, `\u%04x`, r)
	}
	return b.String()
}

func params(segments []Segment) []Param {
	out := []Param{}
	for _, s := range segments {
		for _, p := range s {
			if p.Rest != "" {
				out = append(out, Param{Name: p.Rest, Rest: true})
			} else if p.Param != "" {
				out = append(out, Param{Name: p.Param})
			}
		}
	}
	return out
}
