package jinja

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"time"
)

// Limits bound what one run of a template spends. Zero fields take the defaults.
type Limits struct {
	Steps  int // evaluated expressions, items of lists; 5 million
	Bytes  int // bytes of texts that are built or looked through; 256 MiB
	Output int // bytes; 16 MiB
}

// Depth of calls and of values within values.
const maxDepth = 400

// Options of [Template.Render].
type Options struct {
	Limits Limits
	// Now is what strftime_now tells; nil: time.Now.
	Now func() time.Time
}

// machine runs a template once.
type machine struct {
	ctx    context.Context //nolint:containedctx // of one run
	now    func() time.Time
	limits Limits
	tables *tables
	steps  int
	bytes  int
	depth  int
	line   int
	scope  *scope
	out    *strings.Builder
}

// scope has the variables of a loop, a macro or the template.
type scope struct {
	vars map[string]Value
	up   *scope
}

// Render runs the template with variables. The error is a [*RunError], or the cause for
// which ctx ended.
func (t *Template) Render(ctx context.Context, vars map[string]Value, o Options) (text string, err error) {
	m := &machine{ctx: ctx, now: o.Now, limits: o.Limits, tables: t.tables, out: &strings.Builder{}}
	if m.now == nil {
		m.now = time.Now
	}
	const steps, total, output = 5_000_000, 256 << 20, 16 << 20
	if m.limits.Steps == 0 {
		m.limits.Steps = steps
	}
	if m.limits.Bytes == 0 {
		m.limits.Bytes = total
	}
	if m.limits.Output == 0 {
		m.limits.Output = output
	}
	defer func() {
		switch r := recover().(type) {
		case nil:
		case *RunError:
			text, err = "", r
		case canceled:
			text, err = "", context.Cause(ctx)
		default:
			panic(r)
		}
	}()
	m.scope = &scope{vars: globals()}
	m.push()
	maps.Copy(m.scope.vars, vars)
	m.run(t.body)
	return m.out.String(), nil
}

// canceled is the panic of a run whose context ended.
type canceled struct{}

func (m *machine) fail(format string, args ...any) {
	panic(&RunError{Line: m.line, Reason: fmt.Sprintf(format, args...)})
}

func (m *machine) spent(format string, args ...any) {
	panic(&RunError{Line: m.line, Reason: fmt.Sprintf(format, args...), Err: ErrLimit})
}

// step counts evaluations.
func (m *machine) step(n int) {
	const look = 1 << 12 // how often the context is looked at
	before := m.steps
	m.steps += n
	if m.steps > m.limits.Steps || m.steps < 0 {
		m.spent("it takes more than %d steps", m.limits.Steps)
	}
	if before/look != m.steps/look && m.ctx.Err() != nil {
		panic(canceled{})
	}
}

// work counts bytes before they are made or read.
func (m *machine) work(n int) {
	m.bytes += n
	if n < 0 || m.bytes > m.limits.Bytes {
		m.spent("it works on more than %d bytes", m.limits.Bytes)
	}
}

// enter counts depth; what it returns is to be called on the way out.
func (m *machine) enter() (leave func()) {
	m.depth++
	if m.depth > maxDepth {
		m.spent("calls or values are nested deeper than %d levels", maxDepth)
	}
	return m.leave
}

func (m *machine) leave() { m.depth-- }

func (m *machine) write(text string) {
	if m.out.Len()+len(text) > m.limits.Output {
		m.spent("it writes more than %d bytes", m.limits.Output)
	}
	m.work(len(text))
	m.out.WriteString(text)
}

func (m *machine) push() { m.scope = &scope{vars: make(map[string]Value), up: m.scope} }

func (m *machine) pop() { m.scope = m.scope.up }

func (m *machine) lookup(id string) Value {
	for s := m.scope; s != nil; s = s.up {
		if v, ok := s.vars[id]; ok {
			return v
		}
	}
	return undefined{id}
}

func (m *machine) run(body []stmt) flow {
	for _, s := range body {
		if f := s.run(m); f != onward {
			return f
		}
	}
	return onward
}

// capture runs a body and returns what it wrote.
func (m *machine) capture(body []stmt) string {
	outer := m.out
	m.out = &strings.Builder{}
	defer func() { m.out = outer }()
	m.run(body)
	return m.out.String()
}

// assign sets a target in the innermost scope, or a field of a namespace.
func (m *machine) assign(t *target, v Value) {
	switch {
	case len(t.parts) > 0:
		values := m.iterate(v)
		if len(values) != len(t.parts) {
			m.fail("%d values for %d names", len(values), len(t.parts))
		}
		for i := range t.parts {
			m.assign(&t.parts[i], values[i])
		}
	case t.field != "":
		ns, ok := m.lookup(t.name).(*namespace)
		if !ok {
			m.fail("%s is no namespace, so %s.%s cannot be set", t.name, t.name, t.field)
		}
		ns.fields.set(t.field, v)
	default:
		m.scope.vars[t.name] = v
	}
}

// iterate returns what a loop goes over.
func (m *machine) iterate(v Value) []Value {
	switch x := v.(type) {
	case *List:
		m.step(len(x.Items))
		return x.Items
	case *Dict:
		m.step(len(x.keys))
		return x.keys
	case string:
		m.work(len(x))
		m.step(len(x))
		out := make([]Value, 0, len(x))
		for _, r := range x {
			out = append(out, string(r))
		}
		return out
	case undefined:
		return nil
	}
	m.fail("%s cannot be gone through", typeName(v))
	return nil
}
