package jinja

import (
	"fmt"
	"slices"
)

// Bounds of a template's text.
const (
	maxSource  = 1 << 20
	maxNesting = 100
)

// Template is a template that can be run. It is safe for concurrent use.
type Template struct {
	body   []stmt
	tables *tables
}

// Parse reads a template. The error is a [*SyntaxError].
func Parse(source string) (t *Template, err error) {
	defer func() {
		if r := recover(); r != nil {
			e, ok := r.(*SyntaxError)
			if !ok {
				panic(r)
			}
			t, err = nil, e
		}
	}()
	if len(source) > maxSource {
		return nil, &SyntaxError{1, fmt.Sprintf("it has %d bytes; at most %d are taken", len(source), maxSource)}
	}
	p := &parser{tokens: tokenise(source), tables: newTables(), blocks: statements()}
	body := p.body()
	if p.peek().kind != tokenEOF {
		p.fail("%q has no beginning", p.tokens[p.at+1].text)
	}
	return &Template{body, p.tables}, nil
}

type parser struct {
	tokens []token
	tables *tables
	blocks map[string]func(p *parser, line int) []stmt
	at     int
	depth  int
	loops  int
}

func (p *parser) peek() *token { return &p.tokens[p.at] }

func (p *parser) line() int { return p.peek().line }

func (p *parser) next() *token {
	t := &p.tokens[p.at]
	if t.kind != tokenEOF {
		p.at++
	}
	return t
}

func (p *parser) fail(format string, args ...any) {
	panic(&SyntaxError{p.line(), fmt.Sprintf(format, args...)})
}

// enter counts nesting; what it returns is to be called on the way out.
func (p *parser) enter() (leave func()) {
	p.depth++
	if p.depth > maxNesting {
		p.fail("it is nested deeper than %d levels", maxNesting)
	}
	return func() { p.depth-- }
}

func (p *parser) isOp(op string) bool {
	t := p.peek()
	return t.kind == tokenOp && t.text == op
}

func (p *parser) isName(names ...string) bool {
	t := p.peek()
	return t.kind == tokenName && slices.Contains(names, t.text)
}

// takeOp goes over an operator if it is next.
func (p *parser) takeOp(op string) bool {
	if p.isOp(op) {
		p.at++
		return true
	}
	return false
}

func (p *parser) takeName(name string) bool {
	if p.isName(name) {
		p.at++
		return true
	}
	return false
}

func (p *parser) wantOp(op string) {
	if !p.takeOp(op) {
		p.fail("expected %q, not %s", op, p.peek().describe())
	}
}

func (t *token) describe() string {
	switch t.kind {
	case tokenEOF:
		return "the end"
	case tokenVarEnd, tokenBlockEnd:
		return "the end of the tag"
	case tokenData, tokenVarBegin, tokenBlockBegin, tokenName, tokenString, tokenInt, tokenFloat, tokenOp:
	}
	return fmt.Sprintf("%.30q", t.text)
}

func (p *parser) wantName() string {
	t := p.next()
	if t.kind != tokenName {
		p.fail("expected a name, not %s", t.describe())
	}
	return t.text
}

func (p *parser) endBlock() {
	if t := p.next(); t.kind != tokenBlockEnd {
		p.fail("expected the end of the tag, not %s", t.describe())
	}
}

// body reads statements until the end or a block with one of the names, which is not read.
func (p *parser) body(until ...string) []stmt {
	defer p.enter()()
	var out []stmt
	for {
		switch t := p.peek(); t.kind {
		case tokenData:
			p.at++
			out = append(out, &data{t.text})
		case tokenVarBegin:
			p.at++
			out = append(out, &output{p.tuple(), t.line})
			if end := p.next(); end.kind != tokenVarEnd {
				p.fail("expected the end of the tag, not %s", end.describe())
			}
		case tokenBlockBegin:
			word := p.tokens[p.at+1]
			if word.kind != tokenName {
				p.fail("a block begins with %s", word.describe())
			}
			if slices.Contains(until, word.text) {
				return out
			}
			s := p.statement()
			if s == nil {
				return out
			}
			out = append(out, s...)
		case tokenEOF, tokenVarEnd, tokenBlockEnd, tokenName, tokenString, tokenInt, tokenFloat, tokenOp:
			if len(until) > 0 {
				p.fail("{%% %s %%} is missing", until[len(until)-1])
			}
			return out
		}
	}
}

// end reads {% name %}.
func (p *parser) end(name string) {
	p.at++ // the beginning, where body stopped
	if word := p.wantName(); word != name {
		p.fail("expected {%% %s %%}, not %q", name, word)
	}
	p.endBlock()
}

// statement reads a block; nil: its name begins none, body's caller says so.
func (p *parser) statement() []stmt {
	line := p.line()
	word := p.tokens[p.at+1].text
	read, ok := p.blocks[word]
	if !ok {
		switch word {
		case "include", "import", "from", "extends", "block", "autoescape", "trans":
			p.fail("{%% %s %%} is not taken in a chat template", word)
		}
		if p.depth > 1 {
			p.fail("{%% %.30s %%} does not belong here", word)
		}
		return nil
	}
	p.at += 2
	return read(p, line)
}

func statements() map[string]func(p *parser, line int) []stmt {
	one := func(read func(p *parser, line int) stmt) func(p *parser, line int) []stmt {
		return func(p *parser, line int) []stmt { return []stmt{read(p, line)} }
	}
	return map[string]func(p *parser, line int) []stmt{
		"if": one((*parser).parseIf), "for": one((*parser).parseFor), "set": one((*parser).parseSet), "macro": one((*parser).parseMacro),
		"call": one((*parser).parseCall), "filter": one((*parser).parseFilterBlock), "with": one((*parser).parseWith), "do": one((*parser).parseDo),
		"break": one((*parser).parseJump), "continue": one((*parser).parseJump),
		"generation": func(p *parser, _ int) []stmt { // marks what an assistant said, for training
			p.endBlock()
			body := p.body("endgeneration")
			p.end("endgeneration")
			return append(body, &data{})
		},
	}
}
