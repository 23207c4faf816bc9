package jinja

import (
	"slices"
	"strconv"
	"strings"
)

// tuple reads an expression, or several with commas between.
func (p *parser) tuple() expr { return p.tupleOf(p.expression) }

func (p *parser) tupleOf(one func() expr) expr {
	first := one()
	if !p.isOp(",") {
		return first
	}
	t := &items{list: []expr{first}, tuple: true}
	for p.takeOp(",") {
		if k := p.peek().kind; k == tokenBlockEnd || k == tokenVarEnd || p.isOp(")") {
			break
		}
		t.list = append(t.list, one())
	}
	return t
}

// expression reads a choice, a if b else c, or what binds tighter.
func (p *parser) expression() expr {
	defer p.enter()()
	x := p.or()
	for p.takeName("if") {
		c := &choice{cond: p.or(), yes: x}
		if p.takeName("else") {
			c.no = p.expression()
		}
		x = c
	}
	return x
}

func (p *parser) or() expr {
	x := p.and()
	for p.takeName("or") {
		x = p.chained(&binary{"or", x, p.and()})
	}
	return x
}

func (p *parser) and() expr {
	x := p.not()
	for p.takeName("and") {
		x = p.chained(&binary{"and", x, p.not()})
	}
	return x
}

// chained bounds how long a chain of operators is, since it is as deep.
func (p *parser) chained(b *binary) expr {
	const longest = 200
	n := 0
	for x := expr(b); ; n++ {
		inner, ok := x.(*binary)
		if !ok {
			break
		}
		x = inner.a
	}
	if n > longest {
		p.fail("more than %d operators follow each other", longest)
	}
	return b
}

func (p *parser) not() expr {
	if p.isName("not") {
		defer p.enter()()
		p.at++
		return &unary{"not", p.not()}
	}
	return p.compare()
}

func (p *parser) compare() expr {
	c := &chain{first: p.sum()}
	for {
		t := p.peek()
		switch {
		case t.kind == tokenOp && slices.Contains([]string{"==", "!=", "<", "<=", ">", ">="}, t.text), p.isName("in"):
			p.at++
			c.ops = append(c.ops, t.text)
		case p.isName("not") && p.tokens[p.at+1].kind == tokenName && p.tokens[p.at+1].text == "in":
			p.at += 2
			c.ops = append(c.ops, "not in")
		case len(c.ops) == 0:
			return c.first
		default:
			return c
		}
		c.rest = append(c.rest, p.sum())
	}
}

// operators reads operators of one precedence.
func (p *parser) operators(next func() expr, ops ...string) expr {
	x := next()
	for {
		t := p.peek()
		if t.kind != tokenOp || !slices.Contains(ops, t.text) {
			return x
		}
		p.at++
		x = p.chained(&binary{t.text, x, next()})
	}
}

func (p *parser) sum() expr { return p.operators(p.concat, "+", "-") }

func (p *parser) concat() expr {
	first := p.product()
	if !p.isOp("~") {
		return first
	}
	c := &concat{[]expr{first}}
	for p.takeOp("~") {
		c.parts = append(c.parts, p.product())
	}
	return c
}

func (p *parser) product() expr { return p.operators(p.power, "*", "/", "//", "%") }

func (p *parser) power() expr {
	return p.operators(func() expr { return p.unary(true) }, "**")
}

func (p *parser) unary(filters bool) expr { //nolint:revive // what follows
	defer p.enter()()
	var x expr
	if t := p.peek(); p.isOp("-") || p.isOp("+") {
		p.at++
		x = &unary{t.text, p.unary(false)}
	} else {
		x = p.postfix(p.primary())
	}
	if filters {
		x = p.filtersAndTests(x)
	}
	return x
}

func (p *parser) primary() expr {
	t := p.next()
	switch t.kind {
	case tokenName:
		switch t.text {
		case "true", "True":
			return &literal{true}
		case "false", "False":
			return &literal{false}
		case "none", "None":
			return &literal{nil}
		}
		return &name{t.text}
	case tokenString:
		parts := []string{t.text}
		for p.peek().kind == tokenString {
			parts = append(parts, p.next().text)
		}
		return &literal{strings.Join(parts, "")}
	case tokenInt, tokenFloat:
		return p.number(t)
	case tokenOp:
		switch t.text {
		case "(":
			return p.parenthesis()
		case "[":
			l := &items{}
			for !p.takeOp("]") {
				if len(l.list) > 0 {
					p.wantOp(",")
					if p.takeOp("]") {
						break
					}
				}
				l.list = append(l.list, p.expression())
			}
			return l
		case "{":
			return p.dict()
		}
	case tokenEOF, tokenData, tokenVarBegin, tokenVarEnd, tokenBlockBegin, tokenBlockEnd:
	}
	p.fail("expected a value, not %s", t.describe())
	return nil
}

func (p *parser) number(t *token) expr {
	if t.kind == tokenInt {
		n, err := strconv.ParseInt(t.text, 0, 64)
		if err != nil { // 007
			if n, err = strconv.ParseInt(t.text, 10, 64); err != nil {
				p.fail("the number %.30s is too large", t.text)
			}
		}
		return &literal{n}
	}
	f, err := strconv.ParseFloat(t.text, 64)
	if err != nil {
		p.fail("the number %.30s is too large", t.text)
	}
	return &literal{f}
}

func (p *parser) parenthesis() expr {
	if p.takeOp(")") {
		return &items{tuple: true}
	}
	x := p.tuple()
	p.wantOp(")")
	return x
}

func (p *parser) dict() expr {
	d := &pairs{}
	for !p.takeOp("}") {
		if len(d.keys) > 0 {
			p.wantOp(",")
			if p.takeOp("}") {
				break
			}
		}
		d.keys = append(d.keys, p.expression())
		p.wantOp(":")
		d.values = append(d.values, p.expression())
	}
	return d
}

// postfix reads .name, [key] and (arguments), as many as follow.
func (p *parser) postfix(x expr) expr {
	const longest = 100
	for range longest {
		switch {
		case p.takeOp("."):
			if t := p.peek(); t.kind == tokenInt {
				p.at++
				x = &member{x: x, key: p.number(t)}
			} else {
				x = &member{x: x, name: p.wantName()}
			}
		case p.takeOp("["):
			x = p.subscript(x)
		case p.isOp("("):
			x = &call{x, p.arguments()}
		default:
			return x
		}
	}
	p.fail("more than %d accesses follow each other", longest)
	return nil
}

func (p *parser) subscript(x expr) expr {
	var parts [3]expr
	n := 0
	for !p.isOp("]") {
		if p.takeOp(":") {
			if n++; n > 2 {
				p.fail("a slice has more than three parts")
			}
			continue
		}
		if parts[n] != nil {
			p.fail("expected \"]\", not %s", p.peek().describe())
		}
		if n == 0 {
			parts[0] = p.tuple()
		} else {
			parts[n] = p.expression()
		}
	}
	p.wantOp("]")
	if n > 0 {
		return &slice{x, parts[0], parts[1], parts[2]}
	}
	if parts[0] == nil {
		p.fail("[] is empty")
	}
	return &member{x: x, key: parts[0]}
}

func (p *parser) arguments() arguments {
	var a arguments
	p.wantOp("(")
	for first := true; !p.takeOp(")"); first = false {
		if !first {
			p.wantOp(",")
			if p.takeOp(")") {
				break
			}
		}
		switch {
		case p.takeOp("**"):
			a.kwargs = p.expression()
		case p.takeOp("*"):
			a.spread = p.expression()
		case p.peek().kind == tokenName && p.tokens[p.at+1].kind == tokenOp && p.tokens[p.at+1].text == "=":
			k := keyword{name: p.wantName()}
			p.at++
			k.value = p.expression()
			a.named = append(a.named, k)
		case len(a.named) > 0:
			p.fail("an argument without a name comes after one with a name")
		default:
			a.list = append(a.list, p.expression())
		}
	}
	return a
}

// filter reads name(arguments) of a filter.
func (p *parser) filter(x expr) *filtered {
	f := &filtered{x: x, name: p.wantName()}
	if p.tables.filters[f.name] == nil {
		p.fail("there is no filter %.30q here", f.name)
	}
	if p.isOp("(") {
		f.args = p.arguments()
	}
	return f
}

func (p *parser) filtersAndTests(x expr) expr {
	const longest = 100
	for range longest {
		switch {
		case p.takeOp("|"):
			x = p.filter(x)
		case p.takeName("is"):
			x = p.test(x)
		case p.isOp("("):
			x = &call{x, p.arguments()}
		default:
			return x
		}
	}
	p.fail("more than %d filters follow each other", longest)
	return nil
}

func (p *parser) test(x expr) expr {
	t := &tested{x: x, negate: p.takeName("not")}
	if p.isOp("==") || p.isOp("!=") || p.isOp("<") || p.isOp(">") || p.isOp("<=") || p.isOp(">=") {
		t.name = p.next().text
	} else {
		t.name = p.wantName()
	}
	if p.tables.tests[t.name] == nil {
		p.fail("there is no test %.30q here", t.name)
	}
	next := p.peek()
	switch {
	case p.isOp("("):
		t.args = p.arguments()
	case next.kind == tokenName && !slices.Contains([]string{"else", "or", "and", "is", "if", "not", "in", "recursive"}, next.text),
		next.kind == tokenString, next.kind == tokenInt, next.kind == tokenFloat, p.isOp("["), p.isOp("{"):
		t.args.list = []expr{p.postfix(p.primary())}
	}
	return t
}
