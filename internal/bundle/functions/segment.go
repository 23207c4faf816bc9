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

// literal is a text in a regular expression, as it is in the path of a URL. Whatever has a meaning there is written by
// its number, which has none. A character that may be percent-encoded in a path counts so too: what a function is in
// front of is found by both.
func literal(text string) string {
	var b strings.Builder
	for i := range len(text) {
		c := text[i]
		plain := fmt.Sprintf(`\u%04x`, c)
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-' {
			plain = string(rune(c))
		}
		encoded := fmt.Sprintf("%%%02X", c)
		switch {
		case c >= 0x80: // never as it is in the path of a parsed URL
			b.WriteString(encoded)
		case plain == string(rune(c)) || c == '.' || c == '~':
			b.WriteString(plain)
		default:
			b.WriteString("(?:" + plain + "|" + encoded + ")")
		}
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
