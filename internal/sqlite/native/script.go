package native

/*
#cgo noescape nat_script
#include <stdlib.h>
#include "glue.h"
*/
import "C"

import (
	"math"
	"runtime"
	"unsafe"
)

// ScriptResult is what a text of statements did.
type ScriptResult struct {
	Statements int64
	// As in [Result], of all statements.
	RowsRead, RowsWritten int64
}

// ScriptError says which statement of a text failed.
type ScriptError struct {
	Offset    int   // in bytes into the text: where the statement begins
	Statement int64 // its number in the text, from 1
	Err       error
}

func (e *ScriptError) Error() string { return e.Err.Error() }
func (e *ScriptError) Unwrap() error { return e.Err }

// Script runs all statements of text, a text without zero bytes, each once. What
// those did that ran before one fails is not undone: the caller has a transaction
// open. Each has the connection's time.
func (k *Conn) Script(text []byte) (ScriptResult, error) {
	if len(text) == 0 {
		return ScriptResult{}, nil
	}
	buf := make([]byte, len(text)+1) // with the final zero SQLite need not copy it for every statement
	copy(buf, text)
	var r C.nat_script_result
	C.nat_script(k.c, (*C.char)(unsafe.Pointer(unsafe.SliceData(buf))), C.int64_t(k.limits.Duration), &r)
	out := ScriptResult{Statements: int64(r.statements), RowsRead: int64(r.rows_read), RowsWritten: int64(r.rows_written)}
	if r.rc == 0 {
		return out, nil
	}
	var err error = k.lastError(int(r.rc))
	if r.rc&0xff == CodeInterrupt {
		err = k.runError(int(r.rc))
	}
	if r.noted&C.NAT_TRANSACTION != 0 {
		err = &TransactionError{k.lastError(int(r.rc))}
	}
	return out, &ScriptError{Offset: int(r.offset), Statement: out.Statements + 1, Err: err}
}

// Each runs s and hands on its rows in parts of about enough bytes, encoded like
// [Result.Rows] and valid inside fn alone. There is no limit to their sum. An error
// of fn ends it and is returned.
func (k *Conn) Each(s *Stmt, args *Args, enough int, fn func(rows []byte) error) error {
	var p *C.uchar
	if len(args.buf) > 0 {
		// SQLite does not copy what is bound: it stays where it is until the end.
		var pinned runtime.Pinner
		pinned.Pin(unsafe.SliceData(args.buf))
		defer pinned.Unpin()
		p = (*C.uchar)(unsafe.Pointer(unsafe.SliceData(args.buf)))
	}
	k.c.deadline = 0
	k.c.limit = math.MaxInt64
	defer func() { k.c.limit = C.size_t(k.limits.ResultBytes) }()
	rc := C.nat_begin(k.c, &s.c, p, C.int(args.count))
	defer C.nat_end(&s.c)
	if rc != 0 {
		return k.lastError(int(rc))
	}
	for done := C.int(0); done == 0; {
		if rc := C.nat_more(k.c, &s.c, C.size_t(enough), &done); rc != 0 {
			return k.lastError(int(rc))
		}
		if k.c.len == 0 {
			continue
		}
		if err := fn(unsafe.Slice((*byte)(k.c.out), int(k.c.len))); err != nil {
			return err
		}
	}
	return nil
}

// LastStatementEnd returns where the last complete statement of text ends, 0 when
// there is none.
func LastStatementEnd(text string) int {
	end := 0
	state := atStart
	for i := 0; i < len(text); {
		token, n := nextToken(text[i:])
		i += n
		if token == tokenOpen {
			return end
		}
		if state = step(state, token); state == atEnd {
			state, end = atStart, i
		}
	}
	return end
}
