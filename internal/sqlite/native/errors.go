package native

import "strconv"

// Primary result codes that callers tell apart (https://sqlite.org/rescode.html).
const (
	CodeError      = 1
	CodeBusy       = 5
	CodeNoMemory   = 7
	CodeReadOnly   = 8
	CodeInterrupt  = 9
	CodeIO         = 10
	CodeCorrupt    = 11
	CodeFull       = 13
	CodeTooBig     = 18
	CodeConstraint = 19
	CodeMismatch   = 20
	CodeAuth       = 23
	CodeRange      = 25
)

// Error is what SQLite said. It holds text of the statement's author.
type Error struct {
	Code    int    // extended result code
	Message string // as SQLite words it
	Offset  int    // in bytes into the statement; -1 when it is about no place
}

func (e *Error) Error() string { return e.Message + ": " + e.Name() }

// Primary returns the primary result code.
func (e *Error) Primary() int { return e.Code & 0xff }

// Name is the name of the primary code, such as "SQLITE_CONSTRAINT".
func (e *Error) Name() string { return "SQLITE_" + primaryName(e.Primary()) }

// ExtendedName is the name of the extended code of a violated constraint, such as
// "SQLITE_CONSTRAINT_UNIQUE", "" for all others.
func (e *Error) ExtendedName() string {
	if e.Primary() != CodeConstraint {
		return ""
	}
	if name := constraintName(e.Code >> 8); name != "" {
		return "SQLITE_CONSTRAINT_" + name
	}
	return ""
}

func primaryName(code int) string {
	names := [...]string{
		1: "ERROR", 2: "INTERNAL", 3: "PERM", 4: "ABORT", 5: "BUSY", 6: "LOCKED", 7: "NOMEM", 8: "READONLY", 9: "INTERRUPT",
		10: "IOERR", 11: "CORRUPT", 12: "NOTFOUND", 13: "FULL", 14: "CANTOPEN", 15: "PROTOCOL", 16: "EMPTY", 17: "SCHEMA",
		18: "TOOBIG", 19: "CONSTRAINT", 20: "MISMATCH", 21: "MISUSE", 22: "NOLFS", 23: "AUTH", 24: "FORMAT", 25: "RANGE", 26: "NOTADB",
	}
	if code > 0 && code < len(names) {
		return names[code]
	}
	return strconv.Itoa(code)
}

// constraintName names the second byte of the code of a violated constraint.
func constraintName(n int) string {
	names := [...]string{
		1: "CHECK", 2: "COMMITHOOK", 3: "FOREIGNKEY", 4: "FUNCTION", 5: "NOTNULL", 6: "PRIMARYKEY", 7: "TRIGGER",
		8: "UNIQUE", 9: "VTAB", 10: "ROWID", 11: "PINNED", 12: "DATATYPE",
	}
	if n > 0 && n < len(names) {
		return names[n]
	}
	return ""
}
