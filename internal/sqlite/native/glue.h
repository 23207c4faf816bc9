// What this package calls of SQLite, declared by hand: the amalgamation is
// compiled by another package, whose header cannot be included from here. The
// prototypes and numbers are those of https://sqlite.org/c3ref/intro.html, which
// never change within version 3.
#ifndef SELVAGE_NATIVE_H
#define SELVAGE_NATIVE_H

#include <stddef.h>
#include <stdint.h>

typedef struct sqlite3 sqlite3;
typedef struct sqlite3_stmt sqlite3_stmt;

// nat_conn is one connection. It is used by one thread at a time.
typedef struct nat_conn {
  sqlite3 *db;
  unsigned char *out; // rows of the last run
  size_t len, cap;
  size_t limit;      // bytes that out may grow to
  int64_t deadline;  // CLOCK_MONOTONIC in ns at which a run is interrupted; 0: never
  int trusted;       // the authorizer allows everything
  int noted;         // NAT_* of the statement that is being prepared
  sqlite3_stmt *ops; // reads the program of another statement
} nat_conn;

// What the authorizer noted about a statement.
enum {
  NAT_COUNTERS = 1,    // calls changes(), total_changes() or last_insert_rowid()
  NAT_STATE = 2,       // a pragma that changes the connection
  NAT_TRANSACTION = 4, // refused: BEGIN, COMMIT, SAVEPOINT …
  NAT_REFUSED = 8,     // refused: anything else
};

// nat_stmt is a prepared statement with what is known of its program.
typedef struct nat_stmt {
  sqlite3_stmt *s;
  int compiled; // how often SQLite had compiled it when columns was read
  int columns, params, readonly, explain, noted;
  int reprepared;       // how often SQLite had compiled it when writes was made
  int nops;             // instructions in its program
  unsigned char *writes; // for each instruction: 1 writes a row or an index entry, 2 empties a table
} nat_stmt;

// nat_result is what one run did.
typedef struct nat_result {
  int rc;
  int recompiled; // the schema has changed: the columns may be others
  int full;       // the rows did not fit into the connection's limit
  int64_t rows, changes, last_id, rows_read, rows_written;
} nat_result;

// nat_script_result is what a text of statements did.
typedef struct nat_script_result {
  int rc;
  int noted;       // NAT_* of the statement that failed
  int64_t offset;  // in bytes: where the statement that failed begins, or the end
  int64_t statements, rows_read, rows_written;
} nat_script_result;

void nat_temp_dir(char *path); // keeps path
int nat_open(const char *path, int flags, nat_conn **out);
int nat_close(nat_conn *c);
int nat_exec(nat_conn *c, const char *sql);
int nat_limit(nat_conn *c, int id, int value);
int nat_prepare(nat_conn *c, const char *sql, int len, nat_stmt *st, int *tail);
void nat_finalize(nat_stmt *st);
void nat_run(nat_conn *c, nat_stmt *st, const unsigned char *args, int nargs, nat_result *r);
void nat_script(nat_conn *c, const char *sql, int64_t budget, nat_script_result *r);
int nat_begin(nat_conn *c, nat_stmt *st, const unsigned char *args, int nargs);
int nat_more(nat_conn *c, nat_stmt *st, size_t enough, int *done);
void nat_end(nat_stmt *st);
int64_t nat_clock(void);

#endif
