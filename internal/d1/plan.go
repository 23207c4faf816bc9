package d1

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/selvage-dev/selvage/internal/d1/insights"
	"github.com/selvage-dev/selvage/internal/sqlite/native"
)

// Plan is how SQLite runs a statement, and what would help it.
type Plan struct {
	Steps    []PlanStep
	Err      string // why there is none: the statement is too long, or fits the schema no more
	Proposal *Proposal
}

// PlanStep is one line of EXPLAIN QUERY PLAN.
type PlanStep struct {
	Detail string
	Depth  int // 0 at the top
	// FullScan is set when it visits all rows of a table or an index, or builds an index of its own
	// for every run.
	FullScan bool
}

// Proposal is an index with which SQLite's planner was asked again, on an empty
// copy of the schema: it takes the index, and there are fewer full scans or sorts.
type Proposal struct {
	SQL   string     // that makes the index
	Steps []PlanStep // of the plan with it
}

// FullScans counts the steps that are.
func FullScans(steps []PlanStep) int {
	n := 0
	for _, s := range steps {
		if s.FullScan {
			n++
		}
	}
	return n
}

func sorts(steps []PlanStep) int {
	n := 0
	for _, s := range steps {
		if strings.HasPrefix(s.Detail, "USE TEMP B-TREE") {
			n++
		}
	}
	return n
}

// Plans explains statements that [Service.Statements] returned for the database, each
// in its place.
func (s *Service) Plans(ctx context.Context, database string, stats []Stats) (_ []Plan, err error) {
	db, err := s.Open(ctx, database)
	if err != nil {
		return nil, err
	}
	defer db.Release()
	var c *native.Conn
	select {
	case c = <-db.readers:
	case <-ctx.Done():
		return nil, fmt.Errorf("d1: waiting for a connection: %w", context.Cause(ctx))
	}
	defer func() { db.readers <- c }()
	e := &explainer{live: c}
	defer func() { err = errors.Join(err, e.close()) }()
	plans := make([]Plan, len(stats))
	for i := range stats {
		if err := context.Cause(ctx); err != nil {
			return nil, fmt.Errorf("d1: explain: %w", err)
		}
		if plans[i], err = e.plan(&stats[i]); err != nil {
			return nil, fmt.Errorf("d1: explain: %w", err)
		}
	}
	return plans, nil
}

// explainer explains statements of one database. The copy, which holds its schema without
// rows, is made when it is needed.
type explainer struct {
	live   *native.Conn
	copy   *native.Conn
	tables map[string][]string
}

func (e *explainer) close() error {
	if e.copy == nil {
		return nil
	}
	return e.copy.Close()
}

func (e *explainer) plan(st *Stats) (p Plan, err error) {
	sql := st.sample
	switch {
	case st.Statement == "":
		return Plan{Err: "stands for many statements"}, nil
	case sql == "" && strings.HasSuffix(st.Statement, "…"):
		return Plan{Err: "the statement is too long to keep"}, nil
	case sql == "":
		sql = st.Statement
	}
	p.Steps, err = explain(e.live, sql)
	if refused, ok := errors.AsType[*native.Error](err); ok {
		return Plan{Err: refused.Message}, nil
	}
	if err != nil || FullScans(p.Steps) == 0 && sorts(p.Steps) == 0 {
		return p, err
	}
	if e.copy == nil {
		if e.copy, e.tables, err = emptyCopy(e.live); err != nil {
			return p, err
		}
	}
	p.Proposal, err = e.propose(sql, p.Steps)
	return p, err
}

// explain returns the plan of sql on c.
func explain(c *native.Conn, sql string) ([]PlanStep, error) {
	s, _, err := c.Prepare("EXPLAIN QUERY PLAN " + sql)
	if err != nil {
		return nil, err
	}
	var args native.Args
	for range s.Params {
		args.Null()
	}
	r, err := c.Run(s, &args)
	if err != nil {
		return nil, err
	}
	depth := map[int64]int{0: -1}
	var steps []PlanStep
	for rows := r.Rows; len(rows) > 0; {
		var id, parent, detail native.Value
		id, rows = native.Next(rows)
		parent, rows = native.Next(rows)
		_, rows = native.Next(rows)
		detail, rows = native.Next(rows)
		depth[id.Int] = depth[parent.Int] + 1
		text := string(detail.Data)
		steps = append(steps, PlanStep{text, depth[id.Int], fullScan(text)})
	}
	return steps, nil
}

// fullScan reads a line of a plan (https://sqlite.org/eqp.html).
func fullScan(detail string) bool {
	if strings.Contains(detail, " AUTOMATIC ") {
		return true
	}
	what, ok := strings.CutPrefix(detail, "SCAN ")
	return ok && !strings.HasPrefix(what, "CONSTANT ROW") && !strings.HasPrefix(what, "(") && !strings.Contains(what, "VIRTUAL TABLE") &&
		!strings.Contains(what, "-ROW VALUES CLAUSE")
}

// emptyCopy makes a database in memory with the schema of live, and what ANALYZE has found
// out, and returns the columns of its tables. What cannot be copied is left out: the plan
// of a statement that needs it is then not that of live, and nothing is proposed.
func emptyCopy(live *native.Conn) (_ *native.Conn, tables map[string][]string, err error) {
	c, err := native.Open(":memory:", native.Options{Create: true})
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Close())
		}
	}()
	schema, err := texts(live, `SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite!_%' ESCAPE '!' ORDER BY type = 'trigger', rowid`, 1)
	if err != nil {
		return nil, nil, err
	}
	for _, row := range schema {
		_ = c.Exec(row[0]) // see above
	}
	// Without the table there is nothing to copy.
	if stats, err := texts(live, `SELECT quote(tbl), quote(idx), quote(stat) FROM sqlite_stat1`, 3); err == nil && len(stats) > 0 {
		var script strings.Builder
		script.WriteString("ANALYZE; DELETE FROM sqlite_stat1;")
		for _, row := range stats {
			script.WriteString("INSERT INTO sqlite_stat1 VALUES (" + strings.Join(row, ", ") + ");")
		}
		_ = c.Exec(script.String() + "ANALYZE sqlite_schema")
	}
	columns, err := texts(c, `SELECT m.name, p.name FROM sqlite_schema m JOIN pragma_table_info(m.name) p WHERE m.type = 'table' AND m.sql NOT LIKE 'CREATE VIRTUAL%'`, 2)
	if err != nil {
		return nil, nil, err
	}
	tables = make(map[string][]string)
	for _, row := range columns {
		tables[row[0]] = append(tables[row[0]], row[1])
	}
	return c, tables, nil
}

// texts reads rows of n texts.
func texts(c *native.Conn, sql string, n int) (out [][]string, err error) {
	s, _, err := c.Prepare(sql)
	if err != nil {
		return nil, err
	}
	r, err := c.Run(s, &native.Args{})
	if err != nil {
		return nil, err
	}
	for rows := r.Rows; len(rows) > 0; {
		row := make([]string, n)
		for i := range row {
			var v native.Value
			v, rows = native.Next(rows)
			row[i] = string(v.Data)
		}
		out = append(out, row)
	}
	return out, nil
}

// propose tries the candidates on the copy and returns the first that leaves the fewest
// full scans, and then sorts; nil when none helps.
func (e *explainer) propose(sql string, live []PlanStep) (*Proposal, error) {
	before, err := explain(e.copy, sql)
	if err != nil || !slices.Equal(before, live) {
		return nil, nil //nolint:nilerr,nilnil // the copy is no model of this database
	}
	var best *Proposal
	for _, candidate := range insights.Candidates(sql, e.tables) {
		name := e.freeName(candidate)
		create := createIndex(name, candidate)
		if err := e.copy.Exec(create); err != nil {
			continue // not a table, or no such column: the candidate was a guess
		}
		steps, err := explain(e.copy, sql)
		if err2 := e.copy.Exec("DROP INDEX " + sqlName(name)); err2 != nil {
			return best, err2
		}
		if err != nil {
			return best, err
		}
		taken := slices.ContainsFunc(steps, func(s PlanStep) bool {
			return strings.Contains(s.Detail, " "+name+" ") || strings.HasSuffix(s.Detail, " "+name)
		})
		if taken && better(steps, before) && (best == nil || better(steps, best.Steps)) {
			best = &Proposal{create, steps}
		}
	}
	return best, nil
}

func better(a, b []PlanStep) bool {
	if x, y := FullScans(a), FullScans(b); x != y {
		return x < y
	}
	return sorts(a) < sorts(b)
}

var notInNames = regexp.MustCompile(`[^A-Za-z0-9_]+`)

// freeName is a name for the index that nothing has.
func (e *explainer) freeName(c insights.Candidate) string {
	name := c.Table + "_by"
	for _, col := range c.Columns {
		name += "_" + col.Name
	}
	const longest = 60
	name = notInNames.ReplaceAllString(name, "_")
	name = name[:min(len(name), longest)]
	used, _ := texts(e.copy, `SELECT name FROM sqlite_schema`, 1) // whoever cannot read it fails at the next step
	free := name
	for i := 2; slices.ContainsFunc(used, func(row []string) bool { return strings.EqualFold(row[0], free) }); i++ {
		free = name + "_" + strconv.Itoa(i)
	}
	return free
}

func createIndex(name string, c insights.Candidate) string {
	parts := make([]string, len(c.Columns))
	for i, col := range c.Columns {
		parts[i] = sqlName(col.Name)
		if col.Desc {
			parts[i] += " DESC"
		}
	}
	return "CREATE INDEX " + sqlName(name) + " ON " + sqlName(c.Table) + " (" + strings.Join(parts, ", ") + ")"
}
