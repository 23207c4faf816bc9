package d1

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/selvage-dev/selvage/internal/sqlite/native"
)

// exportPart is about how many bytes of rows are in memory at a time.
const exportPart = 256 << 10

// ExportOptions of a dump.
type ExportOptions struct {
	NoSchema bool
	NoData   bool
	Tables   []string // these alone; empty for all
}

// Export writes the database as SQL statements that make it again: one state of
// it, however long it takes and whatever is written meanwhile. It needs little
// memory, whatever the size.
func (d *Database) Export(ctx context.Context, w io.Writer, o ExportOptions) error {
	return d.export(ctx, w, o, (*exporter).write)
}

// CheckExport says what of an export cannot be.
func (d *Database) CheckExport(ctx context.Context, o ExportOptions) error {
	return d.export(ctx, io.Discard, o, func(e *exporter) error {
		for i := range e.objects {
			if o := &e.objects[i]; o.kind == "table" && e.wanted(o) && !e.o.NoData && o.contentless() {
				return contentlessError(o.name)
			}
		}
		return nil
	})
}

// export calls fn with the schema, inside one snapshot.
func (d *Database) export(ctx context.Context, w io.Writer, o ExportOptions, fn func(*exporter) error) (err error) {
	var c *native.Conn
	select {
	case c = <-d.readers:
	case <-ctx.Done():
		return fmt.Errorf("d1: waiting for a connection: %w", context.Cause(ctx))
	}
	defer func() { d.readers <- c }()
	if err := c.Exec("BEGIN"); err != nil {
		return fmt.Errorf("d1: begin to read: %w", err)
	}
	defer func() { err = errors.Join(err, c.Exec("COMMIT")) }()
	e := &exporter{ctx: ctx, c: c, w: w, o: o}
	if err := e.readSchema(); err != nil {
		return err
	}
	return fn(e)
}

type exporter struct {
	ctx context.Context //nolint:containedctx // of one call
	c   *native.Conn
	w   io.Writer
	o   ExportOptions

	objects []schemaObject
	shadows map[string]bool // tables that belong to a virtual one
}

// schemaObject is a row of sqlite_schema.
type schemaObject struct{ kind, name, table, sql string }

func (o *schemaObject) virtual() bool {
	return o.kind == "table" && strings.HasPrefix(strings.ToUpper(o.sql), "CREATE VIRTUAL TABLE")
}

// contentless reports whether a full-text index keeps its text elsewhere or not at
// all (https://sqlite.org/fts5.html, section 4.4).
func (o *schemaObject) contentless() bool {
	return o.virtual() && regexp.MustCompile(`(?i)\bcontent\s*=`).MatchString(o.sql)
}

func contentlessError(table string) error {
	return fail(CodeInvalid, "The table %q is a full-text index without text of its own, which cannot be exported. Name the other tables, and make it anew from them.", table)
}

func (e *exporter) readSchema() error {
	rows, err := e.texts(`SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_schema ORDER BY type = 'table' DESC, rowid`, 4)
	if err != nil {
		return err
	}
	for _, r := range rows {
		e.objects = append(e.objects, schemaObject{r[0], r[1], r[2], r[3]})
	}
	list, err := e.texts(`SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'shadow'`, 1)
	if err != nil {
		return err
	}
	e.shadows = make(map[string]bool)
	for _, r := range list {
		e.shadows[r[0]] = true
	}
	for _, name := range e.o.Tables {
		if !slices.ContainsFunc(e.objects, func(o schemaObject) bool { return o.kind == "table" && o.name == name }) {
			return fail(CodeInvalid, "There is no table %q to export.", clip(name))
		}
	}
	return nil
}

// texts runs a statement of ours and returns its values as text.
func (e *exporter) texts(sql string, columns int) ([][]string, error) {
	s, _, err := e.c.Prepare(sql)
	if err != nil {
		return nil, fmt.Errorf("d1: export: %w", err)
	}
	var out [][]string
	err = e.c.Each(s, &native.Args{}, exportPart, func(rows []byte) error {
		for len(rows) > 0 {
			row := make([]string, columns)
			for i := range row {
				var v native.Value
				v, rows = native.Next(rows)
				row[i] = string(v.Data)
			}
			out = append(out, row)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("d1: export: %w", err)
	}
	return out, nil
}

// wanted reports whether an object goes into the dump.
func (e *exporter) wanted(o *schemaObject) bool {
	if o.sql == "" || strings.HasPrefix(o.name, "sqlite_") || e.shadows[o.table] {
		return false // an index that a constraint makes; SQLite's own; part of a virtual table
	}
	return len(e.o.Tables) == 0 || slices.Contains(e.o.Tables, o.table)
}

func (e *exporter) write() error {
	if err := e.line("PRAGMA defer_foreign_keys=TRUE;\n"); err != nil {
		return err
	}
	// All tables come first, as rows may refer to any of them, and what works on rows
	// last: indexes are built faster then, and triggers do not run.
	if err := e.schema(func(o *schemaObject) bool { return o.kind == "table" }); err != nil {
		return err
	}
	if err := e.rows(); err != nil {
		return err
	}
	return e.schema(func(o *schemaObject) bool { return o.kind != "table" })
}

// schema writes the statements that make the objects of a kind.
func (e *exporter) schema(kind func(*schemaObject) bool) error {
	if e.o.NoSchema {
		return nil
	}
	for i := range e.objects {
		o := &e.objects[i]
		if !kind(o) || !e.wanted(o) {
			continue
		}
		if err := e.line(o.sql + ";\n"); err != nil {
			return err
		}
	}
	return nil
}

func (e *exporter) rows() error {
	if e.o.NoData {
		return nil
	}
	for i := range e.objects {
		o := &e.objects[i]
		if o.kind != "table" || !e.wanted(o) {
			continue
		}
		if err := e.table(o); err != nil {
			return err
		}
	}
	return e.sequences()
}

func (e *exporter) line(s string) error {
	_, err := io.WriteString(e.w, s)
	return err
}

// table writes the rows of a table.
func (e *exporter) table(o *schemaObject) error {
	if o.contentless() {
		return contentlessError(o.name)
	}
	columns, err := e.texts(`SELECT name FROM pragma_table_xinfo(`+sqlText(o.name)+`) WHERE hidden = 0`, 1)
	if err != nil || len(columns) == 0 {
		return err
	}
	names := make([]string, 0, len(columns)+1)
	for _, c := range columns {
		names = append(names, sqlName(c[0]))
	}
	if o.virtual() {
		names = append(names, "rowid")
	}
	list := strings.Join(names, ",")
	s, _, err := e.c.Prepare("SELECT " + list + " FROM " + sqlName(o.name))
	if err != nil {
		return fmt.Errorf("d1: export %s: %w", o.name, err)
	}
	head := "INSERT INTO " + sqlName(o.name) + " (" + list + ") VALUES("
	var out []byte
	return e.c.Each(s, &native.Args{}, exportPart, func(rows []byte) error {
		if err := context.Cause(e.ctx); err != nil {
			return err
		}
		out = out[:0]
		for len(rows) > 0 {
			out = append(out, head...)
			for i := range names {
				if i > 0 {
					out = append(out, ',')
				}
				var v native.Value
				v, rows = native.Next(rows)
				out = appendLiteral(out, v)
			}
			out = append(out, ");\n"...)
		}
		_, err := e.w.Write(out)
		return err
	})
}

// sequences writes where AUTOINCREMENT goes on.
func (e *exporter) sequences() error {
	has := slices.ContainsFunc(e.objects, func(o schemaObject) bool { return o.name == "sqlite_sequence" })
	if !has {
		return nil
	}
	rows, err := e.texts(`SELECT name, CAST(seq AS TEXT) FROM sqlite_sequence`, 2)
	if err != nil {
		return err
	}
	for _, r := range rows {
		if len(e.o.Tables) > 0 && !slices.Contains(e.o.Tables, r[0]) {
			continue
		}
		name := sqlText(r[0])
		if err := e.line("DELETE FROM sqlite_sequence WHERE name = " + name + ";\nINSERT INTO sqlite_sequence (name,seq) VALUES(" + name + "," + r[1] + ");\n"); err != nil {
			return err
		}
	}
	return nil
}

func sqlName(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }
func sqlText(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// appendLiteral writes a value as SQL that means exactly it.
func appendLiteral(dst []byte, v native.Value) []byte {
	switch v.Kind {
	case native.Integer:
		return strconv.AppendInt(dst, v.Int, 10)
	case native.Float:
		return appendReal(dst, v.Float)
	case native.Text:
		return appendText(dst, v.Data)
	case native.Blob:
		return append(hex.AppendEncode(append(dst, "X'"...), v.Data), '\'')
	case native.Null:
	}
	return append(dst, "NULL"...)
}

// appendReal writes a number that stays a real: with a point or an exponent.
func appendReal(dst []byte, f float64) []byte {
	switch {
	case math.IsInf(f, 1):
		return append(dst, "9e999"...)
	case math.IsInf(f, -1):
		return append(dst, "-9e999"...)
	}
	from := len(dst)
	dst = strconv.AppendFloat(dst, f, 'g', -1, 64)
	for _, c := range dst[from:] {
		if c == '.' || c == 'e' {
			return dst
		}
	}
	return append(dst, ".0"...)
}

// appendText writes text in quotes. A zero byte, which a text of SQL cannot hold,
// goes through the bytes.
func appendText(dst, s []byte) []byte {
	if bytes.IndexByte(s, 0) >= 0 {
		return append(hex.AppendEncode(append(dst, "CAST(X'"...), s), "' AS TEXT)"...)
	}
	dst = append(dst, '\'')
	for {
		i := bytes.IndexByte(s, '\'')
		if i < 0 {
			return append(append(dst, s...), '\'')
		}
		dst = append(append(dst, s[:i+1]...), '\'')
		s = s[i+1:]
	}
}
