package insights

import (
	"slices"
	"strings"
)

// Candidate is an index that may help a statement. Whether it does only SQLite's
// planner can tell.
type Candidate struct {
	Table   string
	Columns []Column
}

// Column of a [Candidate].
type Column struct {
	Name string
	Desc bool
}

// maxCandidates bounds what is tried for one statement.
const maxCandidates = 24

// Candidates derives indexes from a statement: from the columns that WHERE, ON,
// ORDER BY and GROUP BY name. Tables maps the names of tables to those of their columns.
// The best guesses come first.
func Candidates(sql string, tables map[string][]string) []Candidate {
	p := parser{tokens: tokenize(strings.ToValidUTF8(sql, "_")), tables: tables, names: make(map[string]string), uses: make(map[string]*uses)}
	p.findTables()
	p.findColumns()
	var out []Candidate
	for _, table := range p.order {
		for _, columns := range p.uses[table].candidates() {
			c := Candidate{table, columns}
			if !slices.ContainsFunc(out, func(o Candidate) bool { return o.Table == table && slices.Equal(o.Columns, columns) }) && len(out) < maxCandidates {
				out = append(out, c)
			}
		}
	}
	return out
}

// uses is how a statement uses the columns of one table.
type uses struct {
	equal, ranged  []string
	ordered, group []Column
}

func (u *uses) candidates() [][]Column {
	const most = 4
	equal := plain(u.equal)
	equal = equal[:min(len(equal), most)]
	ordered := u.ordered
	if len(ordered) > 0 && !slices.ContainsFunc(ordered, func(c Column) bool { return !c.Desc }) {
		ordered = plain(namesOf(ordered)) // an index can be read backwards
	}
	var out [][]Column
	add := func(parts ...[]Column) {
		var all []Column
		for _, part := range parts {
			for _, c := range part {
				if !slices.ContainsFunc(all, func(o Column) bool { return o.Name == c.Name }) {
					all = append(all, c)
				}
			}
		}
		if len(all) > 0 {
			out = append(out, all)
		}
	}
	add(equal, ordered)
	for _, r := range u.ranged {
		add(equal, []Column{{Name: r}})
	}
	add(equal)
	for _, c := range equal {
		add([]Column{c}, ordered)
		add([]Column{c})
	}
	for _, r := range u.ranged {
		add([]Column{{Name: r}})
	}
	add(ordered)
	add(u.group)
	return out
}

func plain(names []string) []Column {
	out := make([]Column, len(names))
	for i, n := range names {
		out[i] = Column{Name: n}
	}
	return out
}

func namesOf(columns []Column) []string {
	out := make([]string, len(columns))
	for i, c := range columns {
		out[i] = c.Name
	}
	return out
}

// parser finds out which columns a statement compares and sorts by. It knows no
// grammar: what it takes wrong yields a candidate that does not help.
type parser struct {
	tokens []token
	tables map[string][]string
	names  map[string]string // names in the statement, in small letters, to tables
	order  []string          // tables as they appear
	uses   map[string]*uses
}

func (p *parser) at(i int) token {
	if i < 0 || i >= len(p.tokens) {
		return token{}
	}
	return p.tokens[i]
}

// findTables fills in names: tables behind FROM, JOIN, UPDATE and commas, with
// their aliases.
func (p *parser) findTables() {
	for i, t := range p.tokens {
		if t.kind != kindWord {
			continue
		}
		switch before := p.at(i - 1); {
		case before.kind == kindComma, before.kind == kindOpen:
		case before.kind == kindKeyword && slices.Contains([]string{"FROM", "JOIN", "UPDATE", "INTO"}, before.text):
		default:
			continue
		}
		table, ok := p.table(unquote(t.text))
		if !ok {
			continue
		}
		if p.uses[table] == nil {
			p.uses[table] = &uses{}
			p.order = append(p.order, table)
		}
		p.names[strings.ToLower(table)] = table
		next := p.at(i + 1)
		if next.is(kindKeyword, "AS") {
			next = p.at(i + 2)
		}
		if next.kind == kindWord {
			p.names[strings.ToLower(unquote(next.text))] = table
		}
	}
}

func (p *parser) table(name string) (string, bool) {
	for table := range p.tables {
		if strings.EqualFold(table, name) {
			return table, true
		}
	}
	return "", false
}

// column resolves a name, behind that of a table or not, to a column.
func (p *parser) column(qualifier, name string) (table, column string, ok bool) {
	in := func(table string) bool {
		for _, c := range p.tables[table] {
			if strings.EqualFold(c, name) {
				column = c
				return true
			}
		}
		return false
	}
	if qualifier != "" {
		table, ok = p.names[strings.ToLower(qualifier)]
		return table, column, ok && in(table)
	}
	for _, table := range p.order {
		if in(table) {
			return table, column, true
		}
	}
	return "", "", false
}

type clause byte

const (
	clauseOther clause = iota
	clauseWhere
	clauseOrder
	clauseGroup
)

// findColumns fills in uses.
func (p *parser) findColumns() {
	state := clauseOther
	var outer []clause
	for i, t := range p.tokens {
		switch t.kind { //nolint:exhaustive // the rest says nothing
		case kindOpen:
			outer = append(outer, state)
		case kindClose:
			if l := len(outer); l > 0 {
				state, outer = outer[l-1], outer[:l-1]
			}
		case kindKeyword:
			state = clauseAfter(t.text, p.at(i-1), state)
		case kindWord:
			if p.at(i+1).kind != kindDot && p.at(i+1).kind != kindOpen {
				p.use(i, state)
			}
		}
	}
}

func clauseAfter(keyword string, before token, state clause) clause {
	switch keyword {
	case "WHERE", "ON", "HAVING":
		return clauseWhere
	case "BY":
		if before.is(kindKeyword, "ORDER") {
			return clauseOrder
		}
		return clauseGroup
	case "SELECT", "SET", "FROM", "LIMIT", "VALUES", "RETURNING", "JOIN", "UNION", "WINDOW", "GROUP", "ORDER":
		return clauseOther
	}
	return state
}

// use notes the column whose name is token i.
func (p *parser) use(i int, state clause) {
	qualifier, first := "", i
	if p.at(i-1).kind == kindDot {
		qualifier, first = unquote(p.at(i-2).text), i-2
	}
	table, column, ok := p.column(qualifier, unquote(p.tokens[i].text))
	if !ok {
		return
	}
	u := p.uses[table]
	before, after := p.at(first-1), p.at(i+1)
	switch state {
	case clauseOrder:
		u.ordered = append(u.ordered, Column{column, after.is(kindKeyword, "DESC")})
	case clauseGroup:
		u.group = append(u.group, Column{Name: column})
	case clauseWhere:
		switch {
		case equality(after) && !p.at(i+2).is(kindKeyword, "NOT"), before.is(kindOperator, "="), before.is(kindOperator, "=="):
			u.equal = appendNew(u.equal, column)
		case comparison(after), comparison(before):
			u.ranged = appendNew(u.ranged, column)
		}
	case clauseOther:
	}
}

func equality(t token) bool {
	return t.is(kindOperator, "=") || t.is(kindOperator, "==") || t.is(kindKeyword, "IN") || t.is(kindKeyword, "IS") || t.is(kindKeyword, "ISNULL")
}

func comparison(t token) bool {
	return t.kind == kindOperator && slices.Contains([]string{"<", ">", "<=", ">="}, t.text) || t.is(kindKeyword, "BETWEEN") || t.is(kindKeyword, "GLOB")
}

func appendNew(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}

// unquote returns the name that a word stands for.
func unquote(word string) string {
	if len(word) < 2 {
		return word
	}
	switch q := word[0]; q {
	case '"', '`':
		if word[len(word)-1] == q {
			return strings.ReplaceAll(word[1:len(word)-1], string(q)+string(q), string(q))
		}
	case '[':
		return strings.TrimSuffix(word[1:], "]")
	}
	return word
}
