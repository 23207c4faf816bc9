// Package native is a thin layer on SQLite for those who serve SQL of others: one
// call into C binds the parameters, runs a statement to its end and brings back
// all rows, encoded.
//
// It links against the amalgamation that another package compiles
// (github.com/mattn/go-sqlite3, of the same process: two copies of SQLite must
// never open one file). What it needs of that build comes from CGO_CFLAGS, which
// the Makefile sets; [Check] says what is missing otherwise.
//
// # Counting rows
//
// Rows read are the rows that the loops of a statement visited
// (sqlite3_stmt_scanstatus_v2, NVISIT). Rows written are counted in its program:
// how often the instructions ran that put or remove a row or an index entry
// (the bytecode virtual table). SQLite would read the processor's clock twice for
// every instruction along with it, which makes scans two to three times slower;
// the build turns that clock into a constant, and counting costs about 3 %.
//
// # Invariants
//
//   - A statement of a user never attaches a file, loads an extension, makes a
//     temporary table, begins or ends a transaction or sets a pragma that reaches
//     beyond its connection: the authorizer refuses it when it is compiled.
//   - A run ends at its deadline, and its rows never take more memory than the
//     connection's bound.
//   - A Conn is used by one goroutine at a time. What [Conn.Run] returns is valid
//     until the next call.
package native
