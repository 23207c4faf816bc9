#include "glue.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <pthread.h>
#ifdef __linux__
#include <sys/syscall.h>
#endif
#include <time.h>
#include <unistd.h>

// See glue.h on where these come from.
typedef struct sqlite3_value sqlite3_value;
extern int sqlite3_open_v2(const char *, sqlite3 **, int, const char *);
extern int sqlite3_close_v2(sqlite3 *);
extern int sqlite3_exec(sqlite3 *, const char *, int (*)(void *, int, char **, char **), void *, char **);
extern int sqlite3_extended_result_codes(sqlite3 *, int);
extern int sqlite3_busy_timeout(sqlite3 *, int);
extern int sqlite3_db_config(sqlite3 *, int, ...);
extern int sqlite3_limit(sqlite3 *, int, int);
extern int sqlite3_set_authorizer(sqlite3 *, int (*)(void *, int, const char *, const char *, const char *, const char *), void *);
extern void sqlite3_progress_handler(sqlite3 *, int, int (*)(void *), void *);
extern int sqlite3_prepare_v3(sqlite3 *, const char *, int, unsigned, sqlite3_stmt **, const char **);
extern int sqlite3_finalize(sqlite3_stmt *);
extern int sqlite3_step(sqlite3_stmt *);
extern int sqlite3_reset(sqlite3_stmt *);
extern int sqlite3_clear_bindings(sqlite3_stmt *);
extern int sqlite3_column_count(sqlite3_stmt *);
extern int sqlite3_bind_parameter_count(sqlite3_stmt *);
extern int sqlite3_stmt_readonly(sqlite3_stmt *);
extern int sqlite3_stmt_isexplain(sqlite3_stmt *);
extern int sqlite3_stmt_status(sqlite3_stmt *, int, int);
extern int sqlite3_stmt_scanstatus_v2(sqlite3_stmt *, int, int, int, void *) __attribute__((weak));
extern void sqlite3_stmt_scanstatus_reset(sqlite3_stmt *) __attribute__((weak));
extern int sqlite3_bind_null(sqlite3_stmt *, int);
extern int sqlite3_bind_int64(sqlite3_stmt *, int, long long);
extern int sqlite3_bind_double(sqlite3_stmt *, int, double);
extern int sqlite3_bind_text(sqlite3_stmt *, int, const char *, int, void (*)(void *));
extern int sqlite3_bind_blob(sqlite3_stmt *, int, const void *, int, void (*)(void *));
extern int sqlite3_bind_pointer(sqlite3_stmt *, int, void *, const char *, void (*)(void *));
extern sqlite3_value *sqlite3_column_value(sqlite3_stmt *, int);
extern int sqlite3_value_type(sqlite3_value *);
extern long long sqlite3_value_int64(sqlite3_value *);
extern double sqlite3_value_double(sqlite3_value *);
extern const unsigned char *sqlite3_value_text(sqlite3_value *);
extern const void *sqlite3_value_blob(sqlite3_value *);
extern int sqlite3_value_bytes(sqlite3_value *);
extern const unsigned char *sqlite3_column_text(sqlite3_stmt *, int);
extern int sqlite3_column_int(sqlite3_stmt *, int);
extern long long sqlite3_column_int64(sqlite3_stmt *, int);
extern long long sqlite3_changes64(sqlite3 *);
extern int sqlite3_total_changes(sqlite3 *);
extern long long sqlite3_last_insert_rowid(sqlite3 *);

enum {
  OK = 0, DENY = 1, NOMEM = 7, TOOBIG = 18, ROW = 100, DONE = 101,
  OPEN_NOMUTEX = 0x8000,
  PREPARE_PERSISTENT = 1,
  TYPE_INTEGER = 1, TYPE_FLOAT = 2, TYPE_TEXT = 3, TYPE_BLOB = 4,
  STATUS_REPREPARE = 5,
  SCANSTAT_NVISIT = 1,
  // https://sqlite.org/c3ref/c_dbconfig_defensive.html
  CONFIG_LOAD_EXTENSION = 1005, CONFIG_DEFENSIVE = 1010, CONFIG_DQS_DML = 1013, CONFIG_DQS_DDL = 1014,
  CONFIG_TRUSTED_SCHEMA = 1017, CONFIG_SCANSTATUS = 1018,
  // https://sqlite.org/c3ref/c_alter_table.html
  ACTION_CREATE_TEMP_INDEX = 3, ACTION_CREATE_TEMP_VIEW = 6,
  ACTION_DROP_TEMP_INDEX = 12, ACTION_DROP_TEMP_VIEW = 15,
  ACTION_PRAGMA = 19, ACTION_TRANSACTION = 22, ACTION_ATTACH = 24, ACTION_DETACH = 25,
  ACTION_CREATE_VTABLE = 29, ACTION_FUNCTION = 31, ACTION_SAVEPOINT = 32,
};

// How many instructions run between two looks at the clock: about 20 µs.
#define PROGRESS_OPS 2000
// The flag in P2 of OP_Delete (sqliteInt.h, OPFLAG_NCHANGE) by which a deletion
// counts for itself: it is not the first half of an UPDATE or a REPLACE.
#define P2_NCHANGE 0x01

static int grow(nat_conn *c, size_t more) {
  size_t want = c->len + more;
  if (want <= c->cap) return OK;
  if (want > c->limit) return TOOBIG;
  size_t cap = c->cap ? c->cap : 4096;
  while (cap < want) cap *= 2;
  unsigned char *p = realloc(c->out, cap);
  if (!p) return NOMEM;
  c->out = p;
  c->cap = cap;
  return OK;
}

int64_t nat_clock(void) {
  struct timespec t;
#ifdef CLOCK_MONOTONIC_COARSE
  clock_gettime(CLOCK_MONOTONIC_COARSE, &t); // a few ms off and five times cheaper
#else
  clock_gettime(CLOCK_MONOTONIC, &t);
#endif
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int progress(void *p) {
  nat_conn *c = p;
  return c->deadline && nat_clock() > c->deadline;
}

static int one_of(const char *name, const char *const *list) {
  for (; *list; list++)
    if (!strcasecmp(name, *list)) return 1;
  return 0;
}

// Pragmas that only read, with any argument.
static const char *const read_pragmas[] = {
  "table_list", "table_info", "table_xinfo", "index_list", "index_info", "index_xinfo", "foreign_key_list",
  "foreign_key_check", "quick_check", "integrity_check", "data_version", NULL,
};
// Pragmas that may be read, not set.
static const char *const shown_pragmas[] = {
  "page_size", NULL,
};
// Pragmas that change the connection, which is put back afterwards.
static const char *const state_pragmas[] = {
  "foreign_keys", "defer_foreign_keys", "case_sensitive_like", "ignore_check_constraints", "legacy_alter_table",
  "recursive_triggers", "reverse_unordered_selects", NULL,
};
static const char *const counters[] = { "changes", "total_changes", "last_insert_rowid", NULL };
static const char *const refused_functions[] = { "load_extension", "fts3_tokenizer", NULL };
static const char *const modules[] = { "fts5", "fts5vocab", "rtree", "rtree_i32", NULL };

static int refuse(nat_conn *c, int why) {
  c->noted |= why;
  return DENY;
}

// What a statement of a user may do: https://sqlite.org/c3ref/set_authorizer.html.
static int authorize(void *p, int action, const char *a, const char *b, const char *schema, const char *inner) {
  nat_conn *c = p;
  (void)schema;
  (void)inner;
  if (c->trusted) return OK;
  switch (action) {
  case ACTION_TRANSACTION:
  case ACTION_SAVEPOINT:
    return refuse(c, NAT_TRANSACTION);
  case ACTION_ATTACH: // VACUUM, too, which attaches the copy that it makes
  case ACTION_DETACH:
    return refuse(c, NAT_REFUSED);
  case ACTION_CREATE_VTABLE:
    return b && one_of(b, modules) ? OK : refuse(c, NAT_REFUSED);
  case ACTION_FUNCTION:
    if (b && one_of(b, refused_functions)) return refuse(c, NAT_REFUSED);
    if (b && one_of(b, counters)) c->noted |= NAT_COUNTERS;
    return OK;
  case ACTION_PRAGMA:
    if (!a) return refuse(c, NAT_REFUSED);
    if (one_of(a, read_pragmas)) return OK;
    if (one_of(a, shown_pragmas)) return b ? refuse(c, NAT_REFUSED) : OK;
    if (!strcasecmp(a, "optimize") || one_of(a, state_pragmas)) {
      c->noted |= NAT_STATE;
      return OK;
    }
    return refuse(c, NAT_REFUSED);
  default:
    if ((action >= ACTION_CREATE_TEMP_INDEX && action <= ACTION_CREATE_TEMP_VIEW) ||
        (action >= ACTION_DROP_TEMP_INDEX && action <= ACTION_DROP_TEMP_VIEW))
      return refuse(c, NAT_REFUSED);
    return OK;
  }
}

// The part of https://sqlite.org/c3ref/vfs.html up to the call that is needed.
typedef struct {
  int version, file_size, max_path;
  void *next;
  const char *name;
  void *data;
  void *methods[12]; // xOpen to xGetLastError
  void *current_time_int64;
  int (*set_system_call)(void *, const char *, void (*)(void));
} system_vfs;
extern system_vfs *sqlite3_vfs_find(const char *);

// In a process with threads, the C library's pread lets its thread be cancelled while
// it waits, which costs 20 ns of a read of 400. Nobody cancels threads here.
#ifdef __linux__
static ssize_t plain_pread(int fd, void *buf, size_t n, off_t at) { return syscall(SYS_pread64, fd, buf, n, at); }

static void use_plain_pread(void) {
  system_vfs *vfs = sqlite3_vfs_find("unix");
  if (vfs && vfs->version >= 3) vfs->set_system_call(vfs, "pread", (void (*)(void))plain_pread);
}
#else
static void use_plain_pread(void) {}
#endif

extern char *sqlite3_temp_directory;
void nat_temp_dir(char *path) { sqlite3_temp_directory = path; }

int nat_open(const char *path, int flags, nat_conn **out) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, use_plain_pread);
  nat_conn *c = calloc(1, sizeof *c);
  if (!c) return NOMEM;
  *out = c;
  int rc = sqlite3_open_v2(path, &c->db, flags | OPEN_NOMUTEX, NULL);
  if (rc) return rc;
  sqlite3_extended_result_codes(c->db, 1);
  sqlite3_busy_timeout(c->db, 5000);
  static const int config[][2] = {
    { CONFIG_LOAD_EXTENSION, 0 }, { CONFIG_DEFENSIVE, 1 },
    { CONFIG_DQS_DML, 1 }, { CONFIG_DQS_DDL, 1 }, // D1 takes "text" for a string, too
    { CONFIG_TRUSTED_SCHEMA, 0 }, { CONFIG_SCANSTATUS, 1 },
  };
  for (size_t i = 0; i < sizeof config / sizeof *config; i++) {
    rc = sqlite3_db_config(c->db, config[i][0], config[i][1], (int *)NULL);
    if (rc) return rc;
  }
  c->trusted = 1;
  sqlite3_progress_handler(c->db, PROGRESS_OPS, progress, c);
  return sqlite3_set_authorizer(c->db, authorize, c);
}

int nat_close(nat_conn *c) {
  sqlite3_finalize(c->ops);
  int rc = sqlite3_close_v2(c->db);
  free(c->out);
  free(c);
  return rc;
}

int nat_exec(nat_conn *c, const char *sql) {
  int was = c->trusted;
  c->trusted = 1;
  int rc = sqlite3_exec(c->db, sql, NULL, NULL, NULL);
  c->trusted = was;
  return rc;
}

int nat_limit(nat_conn *c, int id, int value) { return sqlite3_limit(c->db, id, value); }

// open_program points c->ops at the program of s; its columns are those below.
static int open_program(nat_conn *c, sqlite3_stmt *s) {
  static const char sql[] = "SELECT opcode, p1, p2, coalesce(subprog, ''), nexec FROM bytecode(?1)";
  if (!c->ops) {
    int was = c->trusted;
    c->trusted = 1;
    int rc = sqlite3_prepare_v3(c->db, sql, sizeof sql, PREPARE_PERSISTENT, &c->ops, NULL);
    c->trusted = was;
    if (rc) return rc;
  }
  return sqlite3_bind_pointer(c->ops, 1, s, "stmt-pointer", NULL);
}

static void close_program(nat_conn *c) {
  sqlite3_reset(c->ops);
  sqlite3_clear_bindings(c->ops);
}

// A cursor that was opened to write to a table or an index of the database, in
// the program subprog. Cursors of sorters and other ephemeral tables are not
// among them.
typedef struct {
  int cursor;
  char subprog[64];
} write_cursor;

// classify finds the instructions of a program that write to the database.
static int classify(nat_conn *c, nat_stmt *st) {
  enum { MAX_CURSORS = 4096 };
  free(st->writes);
  st->writes = NULL;
  st->nops = 0;
  write_cursor *open = NULL;
  int nopen = 0, rc = open_program(c, st->s);
  if (rc) return rc;
  while ((rc = sqlite3_step(c->ops)) == ROW) {
    st->nops++;
    if (strcmp((const char *)sqlite3_column_text(c->ops, 0), "OpenWrite") || nopen == MAX_CURSORS) continue;
    write_cursor *more = realloc(open, (nopen + 1) * sizeof *open);
    if (!more) {
      rc = NOMEM;
      break;
    }
    open = more;
    open[nopen].cursor = sqlite3_column_int(c->ops, 1);
    strncpy(open[nopen].subprog, (const char *)sqlite3_column_text(c->ops, 3), sizeof open->subprog - 1);
    open[nopen].subprog[sizeof open->subprog - 1] = 0;
    nopen++;
  }
  close_program(c);
  if (rc == DONE) rc = (st->writes = calloc(st->nops ? st->nops : 1, 1)) ? open_program(c, st->s) : NOMEM;
  if (rc == OK) {
    for (int i = 0; i < st->nops && (rc = sqlite3_step(c->ops)) == ROW; i++) {
      const char *op = (const char *)sqlite3_column_text(c->ops, 0);
      if (!strcmp(op, "Clear")) { // DELETE without WHERE empties the table at once
        st->writes[i] = 2;
        continue;
      }
      int writes = !strcmp(op, "Insert") || !strcmp(op, "IdxInsert") ||
                   (!strcmp(op, "Delete") && (sqlite3_column_int(c->ops, 2) & P2_NCHANGE));
      if (!writes) continue;
      int cursor = sqlite3_column_int(c->ops, 1);
      const char *subprog = (const char *)sqlite3_column_text(c->ops, 3);
      for (int k = 0; k < nopen; k++)
        if (open[k].cursor == cursor && !strncmp(open[k].subprog, subprog, sizeof open->subprog - 1)) {
          st->writes[i] = 1;
          break;
        }
    }
    if (rc == ROW || rc == DONE) rc = OK;
    close_program(c);
  }
  free(open);
  st->reprepared = sqlite3_stmt_status(st->s, STATUS_REPREPARE, 0);
  return rc;
}

int nat_prepare(nat_conn *c, const char *sql, int len, nat_stmt *st, int *tail) {
  const char *rest = sql;
  memset(st, 0, sizeof *st);
  c->noted = 0;
  int rc = sqlite3_prepare_v3(c->db, sql, len, PREPARE_PERSISTENT, &st->s, &rest);
  *tail = (int)(rest - sql);
  st->noted = c->noted;
  if (rc || !st->s) return rc;
  st->columns = sqlite3_column_count(st->s);
  st->params = sqlite3_bind_parameter_count(st->s);
  st->readonly = sqlite3_stmt_readonly(st->s);
  st->explain = sqlite3_stmt_isexplain(st->s);
  if (!st->readonly && !st->explain) rc = classify(c, st);
  return rc;
}

void nat_finalize(nat_stmt *st) {
  sqlite3_finalize(st->s);
  free(st->writes);
  memset(st, 0, sizeof *st);
}

// bind takes the values that Go encoded: a type byte, then 8 bytes or a length
// of 4 and the bytes, little endian. The bytes stay where they are until the run
// is over.
static int bind(sqlite3_stmt *s, const unsigned char *a, int n) {
  int rc = OK;
  for (int i = 1; i <= n && !rc; i++) {
    unsigned char type = *a++;
    switch (type) {
    case TYPE_INTEGER: {
      int64_t v;
      memcpy(&v, a, 8);
      a += 8;
      rc = sqlite3_bind_int64(s, i, v);
      break;
    }
    case TYPE_FLOAT: {
      double v;
      memcpy(&v, a, 8);
      a += 8;
      rc = sqlite3_bind_double(s, i, v);
      break;
    }
    case TYPE_TEXT:
    case TYPE_BLOB: {
      uint32_t len;
      memcpy(&len, a, 4);
      a += 4;
      // An empty slice may lie past the end; SQLite does not look at it.
      rc = type == TYPE_TEXT ? sqlite3_bind_text(s, i, (const char *)a, len, NULL) : sqlite3_bind_blob(s, i, a, len, NULL);
      a += len;
      break;
    }
    default:
      rc = sqlite3_bind_null(s, i);
    }
  }
  return rc;
}

// append adds one value, encoded as bind takes them.
static int append(nat_conn *c, sqlite3_value *v) {
  int type = sqlite3_value_type(v);
  int rc = grow(c, 16);
  if (rc) return rc;
  unsigned char *p = c->out + c->len;
  switch (type) {
  case TYPE_INTEGER: {
    int64_t x = sqlite3_value_int64(v);
    p[0] = type;
    memcpy(p + 1, &x, 8);
    c->len += 9;
    return OK;
  }
  case TYPE_FLOAT: {
    double x = sqlite3_value_double(v);
    p[0] = type;
    memcpy(p + 1, &x, 8);
    c->len += 9;
    return OK;
  }
  case TYPE_TEXT:
  case TYPE_BLOB: {
    const void *data = type == TYPE_TEXT ? (const void *)sqlite3_value_text(v) : sqlite3_value_blob(v);
    uint32_t n = sqlite3_value_bytes(v);
    if (n && !data) return NOMEM;
    if ((rc = grow(c, (size_t)n + 5))) return rc;
    p = c->out + c->len;
    p[0] = type;
    memcpy(p + 1, &n, 4);
    if (n) memcpy(p + 5, data, n);
    c->len += (size_t)n + 5;
    return OK;
  }
  default:
    p[0] = 0;
    c->len++;
    return OK;
  }
}

static int64_t rows_read(sqlite3_stmt *s) {
  int64_t total = 0, visited;
  for (int i = 0; sqlite3_stmt_scanstatus_v2(s, i, SCANSTAT_NVISIT, 0, &visited) == OK; i++)
    if (visited > 0) total += visited; // -1: this part of the plan is no loop
  return total;
}

static int64_t rows_written(nat_conn *c, nat_stmt *st, int64_t changes) {
  int64_t total = 0, cleared = 0;
  if (sqlite3_stmt_status(st->s, STATUS_REPREPARE, 0) != st->reprepared && classify(c, st)) return 0;
  if (open_program(c, st->s)) return 0;
  for (int i = 0; i < st->nops && sqlite3_step(c->ops) == ROW; i++) {
    if (!st->writes[i]) continue;
    int64_t ran = sqlite3_column_int64(c->ops, 4);
    if (st->writes[i] == 1) total += ran;
    else cleared |= ran;
  }
  close_program(c);
  return cleared ? total + changes : total;
}

// insert_head returns the length of "INSERT INTO name … VALUES" at the beginning of
// one statement, 0 for any other. Statements with the same head whose rows are literals have
// programs that write the same for each row.
static size_t insert_head(const char *sql, size_t len) {
  static const char insert[] = "INSERT INTO ", values[] = "VALUES";
  enum { MAX_HEAD = 8192 };
  size_t end = len < MAX_HEAD ? len : MAX_HEAD;
  if (end < sizeof insert || strncasecmp(sql, insert, sizeof insert - 1)) return 0;
  for (size_t i = sizeof insert - 1; i + sizeof values - 1 <= end; i++)
    if ((sql[i] == 'V' || sql[i] == 'v') && !strncasecmp(sql + i, values, sizeof values - 1)) return i + sizeof values - 1;
  return 0;
}

// plain_values reports whether what follows VALUES is but literals and operators: neither
// a SELECT nor ON CONFLICT, nor names in quotes or comments, which could hide one.
static int plain_values(const char *text, size_t len) {
  for (size_t i = 0; i < len; i++) {
    switch (text[i]) {
    case '\'': { // most of a file of INSERTs is in here
      const char *end = memchr(text + i + 1, '\'', len - i - 1);
      if (!end) return 0;
      i = end - text;
      break;
    }
    case '"': case '`': case '[':
      return 0;
    case '-': case '/':
      if (i + 1 < len && (text[i + 1] == '-' || text[i + 1] == '*')) return 0;
      break;
    case 'c': case 'C':
      if (len - i >= 8 && !strncasecmp(text + i, "CONFLICT", 8)) return 0;
      break;
    case 's': case 'S':
      if (len - i >= 6 && !strncasecmp(text + i, "SELECT", 6)) return 0;
      break;
    }
  }
  return 1;
}

// plain_tables reports whether every row that is inserted into a table writes the same
// number of entries: there are no triggers, no partial indexes, and none that resolves a
// conflict by replacing. One that has them makes counting slow for all, not wrong.
static int plain_tables(nat_conn *c) {
  static const char sql[] =
      "SELECT 1 FROM sqlite_schema WHERE type = 'trigger' OR sql LIKE '%REPLACE%' OR (type = 'index' AND sql LIKE '% WHERE %') OR sql LIKE 'CREATE VIRTUAL%' LIMIT 1";
  sqlite3_stmt *s;
  int was = c->trusted;
  c->trusted = 1;
  int rc = sqlite3_prepare_v3(c->db, sql, sizeof sql, 0, &s, NULL);
  c->trusted = was;
  if (rc) return 0;
  rc = sqlite3_step(s);
  sqlite3_finalize(s);
  return rc == DONE;
}

// known is what one row of the last INSERT wrote.
typedef struct {
  const char *head; // in the text of the script
  size_t len;
  int64_t each;
} known_insert;

// count_script adds what a statement of a script has read and written. Reading its
// program costs more than a small INSERT, so of INSERTs that follow one another only the first
// is read.
static int count_script(nat_conn *c, sqlite3_stmt *s, const char *at, size_t len, int64_t changes, known_insert *k, nat_script_result *r) {
  r->rows_read += rows_read(s);
  if (sqlite3_stmt_readonly(s)) return OK;
  while (len && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')) at++, len--;
  size_t head = insert_head(at, len);
  int plain = head && plain_values(at + head, len - head);
  if (plain && k->len == head && !memcmp(k->head, at, head)) {
    r->rows_written += k->each * changes;
    return OK;
  }
  nat_stmt st = { .s = s };
  int rc = classify(c, &st);
  if (rc == OK) {
    int64_t written = rows_written(c, &st, changes);
    r->rows_written += written;
    k->len = 0;
    if (plain && changes > 0 && written % changes == 0 && plain_tables(c))
      *k = (known_insert){ .head = at, .len = head, .each = written / changes };
  }
  free(st.writes);
  return rc;
}

// nat_script runs all statements of a text that ends with a zero, each once and
// without keeping it; their rows are dropped. The budget of each is its time in ns.
void nat_script(nat_conn *c, const char *sql, int64_t budget, nat_script_result *r) {
  const char *at = sql, *rest;
  known_insert known = { 0 };
  memset(r, 0, sizeof *r);
  while (*at) {
    sqlite3_stmt *s = NULL;
    c->noted = 0;
    c->deadline = nat_clock() + budget;
    r->rc = sqlite3_prepare_v3(c->db, at, -1, 0, &s, &rest);
    if (r->rc == OK && s) {
      int before = sqlite3_total_changes(c->db);
      while ((r->rc = sqlite3_step(s)) == ROW) {}
      if (r->rc == DONE) r->rc = count_script(c, s, at, rest - at, sqlite3_total_changes(c->db) == before ? 0 : sqlite3_changes64(c->db), &known, r);
      r->statements++;
    }
    r->noted = c->noted;
    if (r->rc) { // the message of the error outlives the statement
      sqlite3_finalize(s);
      break;
    }
    sqlite3_finalize(s);
    at = rest;
  }
  r->offset = at - sql;
}

// nat_begin, nat_more and nat_end read the rows of one statement part by part: each
// nat_more replaces the rows in out and stops at about enough bytes.
int nat_begin(nat_conn *c, nat_stmt *st, const unsigned char *args, int nargs) {
  c->len = 0;
  return bind(st->s, args, nargs);
}

int nat_more(nat_conn *c, nat_stmt *st, size_t enough, int *done) {
  int rc = OK;
  c->len = 0;
  *done = 0;
  while (c->len < enough) {
    rc = sqlite3_step(st->s);
    if (rc != ROW) {
      *done = rc == DONE;
      return rc == DONE ? OK : rc;
    }
    for (int i = 0; i < st->columns; i++)
      if ((rc = append(c, sqlite3_column_value(st->s, i)))) return rc;
  }
  return OK;
}

void nat_end(nat_stmt *st) {
  sqlite3_reset(st->s);
  sqlite3_clear_bindings(st->s);
}

// check_columns notices that SQLite has compiled the statement anew, as it does at
// the first step after a change of the schema.
static void check_columns(nat_stmt *st, nat_result *r) {
  int compiled = sqlite3_stmt_status(st->s, STATUS_REPREPARE, 0);
  if (compiled == st->compiled) return;
  st->compiled = compiled;
  st->columns = sqlite3_column_count(st->s);
  r->recompiled = 1;
}

void nat_run(nat_conn *c, nat_stmt *st, const unsigned char *args, int nargs, nat_result *r) {
  c->len = 0;
  memset(r, 0, sizeof *r);
  int rc = bind(st->s, args, nargs), full = OK;
  if (rc == OK) {
    while ((rc = sqlite3_step(st->s)) == ROW) {
      if (!r->rows) check_columns(st, r);
      for (int i = 0; i < st->columns && !full; i++) full = append(c, sqlite3_column_value(st->s, i));
      if (full) break;
      r->rows++;
    }
    if (!r->rows) check_columns(st, r);
    r->rows_read = rows_read(st->s);
    r->changes = sqlite3_changes64(c->db);
    r->last_id = sqlite3_last_insert_rowid(c->db);
    // The message of an error is the connection's last, so nothing else may run in between.
    if (rc == DONE && !st->readonly && !st->explain) r->rows_written = rows_written(c, st, r->changes);
    sqlite3_stmt_scanstatus_reset(st->s);
  }
  int ended = sqlite3_reset(st->s);
  sqlite3_clear_bindings(st->s);
  r->full = full == TOOBIG;
  r->rc = full ? full : rc == DONE ? OK : rc == ROW ? ended : rc;
}
