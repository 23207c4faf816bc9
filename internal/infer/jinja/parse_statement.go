package jinja

func (p *parser) parseIf(line int) stmt {
	b := &branch{line: line}
	for {
		b.conds = append(b.conds, p.tuple())
		p.endBlock()
		b.bodies = append(b.bodies, p.body("elif", "else", "endif"))
		p.at++
		switch p.wantName() {
		case "elif":
			continue
		case "else":
			p.endBlock()
			b.other = p.body("endif")
			p.end("endif")
			return b
		}
		p.endBlock()
		return b
	}
}

func (p *parser) parseFor(line int) stmt {
	l := &loopOver{target: p.targets(), line: line}
	if !p.takeName("in") {
		p.fail("expected 'in', not %s", p.peek().describe())
	}
	l.over = p.tupleOf(p.or)
	if p.takeName("if") {
		l.filter = p.expression()
	}
	if p.isName("recursive") {
		p.fail("recursive loops are not taken in a chat template")
	}
	p.endBlock()
	p.loops++
	l.body = p.body("else", "endfor")
	p.loops--
	p.at++
	if p.wantName() == "else" {
		p.endBlock()
		l.other = p.body("endfor")
		p.end("endfor")
		return l
	}
	p.endBlock()
	return l
}

// targets reads what a loop or a set assigns to.
func (p *parser) targets() target {
	defer p.enter()()
	var parts []target
	for {
		switch {
		case p.takeOp("("):
			parts = append(parts, p.targets())
			p.wantOp(")")
		default:
			t := target{name: p.wantName()}
			if p.takeOp(".") {
				t.field = p.wantName()
			}
			parts = append(parts, t)
		}
		if !p.takeOp(",") {
			break
		}
	}
	if len(parts) == 1 {
		return parts[0]
	}
	return target{parts: parts}
}

func (p *parser) parseSet(line int) stmt {
	t := p.targets()
	if p.takeOp("=") {
		a := &assign{t, p.tuple(), line}
		p.endBlock()
		return a
	}
	b := &assignBlock{target: t, filters: p.filters(), line: line}
	p.endBlock()
	b.body = p.body("endset")
	p.end("endset")
	return b
}

// filters reads |a|b(c).
func (p *parser) filters() []*filtered {
	var out []*filtered
	for p.takeOp("|") {
		out = append(out, p.filter(nil))
	}
	return out
}

// signature reads (a, b=1) of a macro.
func (p *parser) signature(m *macro) {
	p.wantOp("(")
	for !p.takeOp(")") {
		if len(m.params) > 0 {
			p.wantOp(",")
		}
		m.params = append(m.params, p.wantName())
		if p.takeOp("=") {
			m.defaults = append(m.defaults, p.expression())
		} else if len(m.defaults) > 0 {
			p.fail("a parameter without a default comes after one that has one")
		}
	}
}

func (p *parser) parseMacro(line int) stmt {
	m := &macro{name: p.wantName(), line: line}
	p.signature(m)
	p.endBlock()
	m.body = p.body("endmacro")
	p.end("endmacro")
	return m
}

func (p *parser) parseCall(line int) stmt {
	b := &callBlock{body: &macro{name: "caller", line: line}, line: line}
	if p.isOp("(") {
		p.signature(b.body)
	}
	c, ok := p.expression().(*call)
	if !ok {
		p.fail("{%% call %%} needs a call")
	}
	b.call = c
	p.endBlock()
	b.body.body = p.body("endcall")
	p.end("endcall")
	return b
}

func (p *parser) parseFilterBlock(line int) stmt {
	b := &filterBlock{filters: append([]*filtered{p.filter(nil)}, p.filters()...), line: line}
	p.endBlock()
	b.body = p.body("endfilter")
	p.end("endfilter")
	return b
}

func (p *parser) parseWith(line int) stmt {
	w := &with{line: line}
	for p.peek().kind != tokenBlockEnd {
		if len(w.names) > 0 {
			p.wantOp(",")
		}
		w.names = append(w.names, target{name: p.wantName()})
		p.wantOp("=")
		w.values = append(w.values, p.expression())
	}
	p.endBlock()
	w.body = p.body("endwith")
	p.end("endwith")
	return w
}

func (p *parser) parseDo(line int) stmt {
	e := &evaluate{p.tuple(), line}
	p.endBlock()
	return e
}

func (p *parser) parseJump(int) stmt {
	to := breaks
	if p.tokens[p.at-1].text == "continue" {
		to = continues
	}
	if p.loops == 0 {
		p.fail("{%% %s %%} is in no loop", p.tokens[p.at-1].text)
	}
	p.endBlock()
	return &jump{to}
}
