// Package insights counts what the statements of a database do: how often each
// ran, how long, how many rows it read. It stores nothing; its owner takes the
// counts from time to time.
//
// Statements are told apart by their normal form (see [Normalize]), in which
// every literal is a question mark, so that a program that writes its values into
// the text has one statement, not thousands.
//
// # Invariants
//
//   - Counting one run of a known statement is a handful of atomic additions: no
//     lock, no allocation. Whoever prepares a statement asks once for its
//     [Statement] and keeps it.
//   - Memory is bounded: a database has at most [MaxStatements], each with texts of
//     at most [MaxText] bytes. The one that was used least recently gives way, and
//     what it had counted goes to the statement with the empty text.
//   - The normal form holds no literal of the statement.
//   - [Repeats] has a fixed size. When more requests run at a time than it has room
//     for, it forgets some; it never takes two requests for one.
package insights
