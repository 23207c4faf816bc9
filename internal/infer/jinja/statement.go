package jinja

func (s *data) run(m *machine) flow {
	m.write(s.text)
	return onward
}

func (s *output) run(m *machine) flow {
	m.line = s.line
	m.write(m.text(s.x.eval(m)))
	return onward
}

func (s *branch) run(m *machine) flow {
	m.line = s.line
	for i, c := range s.conds {
		if truth(c.eval(m)) {
			return m.run(s.bodies[i])
		}
	}
	return m.run(s.other)
}

// loopState is the variable loop.
type loopState struct {
	items []Value
	at    int
	last  Value // what changed() was called with
	any   bool
}

func (s *loopOver) run(m *machine) flow {
	m.line = s.line
	values := m.iterate(s.over.eval(m))
	defer m.enter()()
	outer := m.scope
	defer func() { m.scope = outer }()
	if s.filter != nil {
		var kept []Value
		for _, v := range values {
			m.scope = &scope{vars: make(map[string]Value), up: outer}
			m.assign(&s.target, v)
			if truth(s.filter.eval(m)) {
				kept = append(kept, v)
			}
		}
		values = kept
	}
	if len(values) == 0 {
		m.scope = outer
		return m.run(s.other)
	}
	state := &loopState{items: values}
	for i, v := range values {
		m.step(1)
		state.at = i
		m.scope = &scope{vars: map[string]Value{"loop": state}, up: outer}
		m.assign(&s.target, v)
		if m.run(s.body) == breaks {
			break
		}
	}
	return onward
}

func (l *loopState) attribute(field string) Value {
	n := int64(len(l.items))
	i := int64(l.at)
	switch field {
	case "index":
		return i + 1
	case "index0":
		return i
	case "revindex":
		return n - i
	case "revindex0":
		return n - i - 1
	case "first":
		return i == 0
	case "last":
		return i == n-1
	case "length":
		return n
	case "depth":
		return int64(1)
	case "depth0":
		return int64(0)
	case "previtem":
		if i > 0 {
			return l.items[i-1]
		}
	case "nextitem":
		if i+1 < n {
			return l.items[i+1]
		}
	case "cycle":
		return &function{"loop.cycle", func(m *machine, a *args) Value {
			if len(a.list) == 0 {
				m.fail("loop.cycle has nothing to choose from")
			}
			return a.list[l.at%len(a.list)]
		}}
	case "changed":
		return &function{"loop.changed", func(m *machine, a *args) Value {
			now := Value(&List{Items: a.list, tuple: true})
			changed := !l.any || !m.equal(l.last, now)
			l.last, l.any = now, true
			return changed
		}}
	}
	return undefined{"loop." + field}
}

func (s *assign) run(m *machine) flow {
	m.line = s.line
	m.assign(&s.target, s.value.eval(m))
	return onward
}

func (m *machine) pipe(text Value, filters []*filtered) Value {
	for _, f := range filters {
		text = m.filter(f.name, text, m.arguments(&f.args))
	}
	return text
}

func (s *assignBlock) run(m *machine) flow {
	m.line = s.line
	m.push()
	text := m.capture(s.body)
	m.pop()
	m.assign(&s.target, m.pipe(text, s.filters))
	return onward
}

func (s *filterBlock) run(m *machine) flow {
	m.line = s.line
	m.push()
	text := m.capture(s.body)
	m.pop()
	m.write(m.text(m.pipe(text, s.filters)))
	return onward
}

func (s *with) run(m *machine) flow {
	m.line = s.line
	values := make([]Value, len(s.values))
	for i, v := range s.values {
		values[i] = v.eval(m)
	}
	m.push()
	defer m.pop()
	for i := range s.names {
		m.assign(&s.names[i], values[i])
	}
	return m.run(s.body)
}

func (s *evaluate) run(m *machine) flow {
	m.line = s.line
	s.x.eval(m)
	return onward
}

func (s *jump) run(*machine) flow { return s.to }

func (s *macro) run(m *machine) flow {
	m.scope.vars[s.name] = s.function(m.scope)
	return onward
}

func (s *callBlock) run(m *machine) flow {
	m.line = s.line
	fn := s.call.fn.eval(m)
	a := m.arguments(&s.call.args)
	if a.named == nil {
		a.named = NewDict()
	}
	a.named.set("caller", s.body.function(m.scope))
	m.write(m.text(m.call(fn, a)))
	return onward
}

// function returns the macro as it is called; it sees the variables of where it stands.
func (s *macro) function(home *scope) *function {
	return &function{s.name, func(m *machine, a *args) Value {
		line, from, out := m.line, m.scope, m.out
		m.scope = &scope{vars: make(map[string]Value), up: home}
		s.bind(m, a)
		text := m.capture(s.body)
		m.line, m.scope, m.out = line, from, out
		return text
	}}
}

// bind sets the macro's parameters.
func (s *macro) bind(m *machine, a *args) {
	vars := m.scope.vars
	rest := NewDict()
	if a.named != nil {
		for i, k := range a.named.keys {
			rest.set(k, a.named.values[i])
		}
	}
	for i, p := range s.params {
		named, isNamed := rest.get(p)
		d := i - (len(s.params) - len(s.defaults))
		switch {
		case i < len(a.list):
			vars[p] = a.list[i]
		case isNamed:
			vars[p] = named
		case d >= 0:
			vars[p] = s.defaults[d].eval(m)
		default:
			vars[p] = undefined{p}
		}
	}
	others := NewDict()
	for i, k := range rest.keys {
		id, _ := k.(string) // the names of arguments are texts
		if _, isParam := vars[id]; !isParam {
			others.set(k, rest.values[i])
		}
	}
	if c, ok := others.get("caller"); ok {
		vars["caller"] = c
	}
	vars["kwargs"] = others
	vars["varargs"] = &List{Items: a.list[min(len(s.params), len(a.list)):], tuple: true}
}
