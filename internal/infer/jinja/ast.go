package jinja

// expr is something that has a value.
type expr interface{ eval(m *machine) Value }

// stmt is something that writes or sets.
type stmt interface{ run(m *machine) flow }

// flow says how a statement ended.
type flow uint8

const (
	onward flow = iota
	breaks
	continues
)

// Expressions.
type (
	literal struct{ value Value }
	name    struct{ id string }
	// A list or a tuple.
	items struct {
		list  []expr
		tuple bool
	}
	pairs struct{ keys, values []expr }
	unary struct {
		op string
		x  expr
	}
	binary struct {
		op   string
		a, b expr
	}
	// It is a < b < c.
	chain struct {
		first expr
		ops   []string
		rest  []expr
	}
	concat struct{ parts []expr }
	choice struct{ cond, yes, no expr } // no may be nil
	// It is x.name or x[key]; the two look in another order.
	member struct {
		x    expr
		name string
		key  expr
	}
	slice struct{ x, from, to, step expr } // each but x may be nil
	call  struct {
		fn   expr
		args arguments
	}
	filtered struct {
		x    expr // nil: the text of a block
		name string
		args arguments
	}
	tested struct {
		x      expr
		name   string
		args   arguments
		negate bool
	}
)

// arguments of a call.
type arguments struct {
	list   []expr
	named  []keyword
	spread expr // *args
	kwargs expr // **kwargs
}

type keyword struct {
	name  string
	value expr
}

// Statements.
type (
	data   struct{ text string }
	output struct {
		x    expr
		line int
	}
	branch struct {
		conds  []expr
		bodies [][]stmt
		other  []stmt
		line   int
	}
	loopOver struct {
		target target
		over   expr
		filter expr // nil: all
		body   []stmt
		other  []stmt
		line   int
	}
	assign struct {
		target target
		value  expr
		line   int
	}
	assignBlock struct {
		target  target
		body    []stmt
		filters []*filtered
		line    int
	}
	macro struct {
		name     string
		params   []string
		defaults []expr // of the last params
		body     []stmt
		line     int
	}
	callBlock struct {
		call *call
		body *macro
		line int
	}
	filterBlock struct {
		filters []*filtered
		body    []stmt
		line    int
	}
	// It makes a scope of its own.
	with struct {
		names  []target
		values []expr
		body   []stmt
		line   int
	}
	evaluate struct { // {% do x %}
		x    expr
		line int
	}
	jump struct{ to flow }
)

// target is what is assigned to: a name, a field of a namespace, or several.
type target struct {
	name  string
	field string
	parts []target
}
