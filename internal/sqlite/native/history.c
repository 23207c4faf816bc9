#include "history.h"

#include <stdlib.h>

// See glue.h on where these come from.
typedef struct sqlite3_backup sqlite3_backup;
extern void *sqlite3_wal_hook(sqlite3 *, int (*)(void *, sqlite3 *, const char *, int), void *);
extern int sqlite3_wal_checkpoint_v2(sqlite3 *, const char *, int, int *, int *);
extern int sqlite3_busy_timeout(sqlite3 *, int);
extern int sqlite3_db_config(sqlite3 *, int, ...);
extern int sqlite3_open_v2(const char *, sqlite3 **, int, const char *);
extern int sqlite3_close_v2(sqlite3 *);
extern int sqlite3_errcode(sqlite3 *);
extern int sqlite3_prepare_v3(sqlite3 *, const char *, int, unsigned, sqlite3_stmt **, const char **);
extern int sqlite3_finalize(sqlite3_stmt *);
extern int sqlite3_step(sqlite3_stmt *);
extern int sqlite3_reset(sqlite3_stmt *);
extern long long sqlite3_column_int64(sqlite3_stmt *, int);
extern sqlite3_backup *sqlite3_backup_init(sqlite3 *, const char *, sqlite3 *, const char *);
extern int sqlite3_backup_step(sqlite3_backup *, int);
extern int sqlite3_backup_finish(sqlite3_backup *);

enum {
  OK = 0, NOMEM = 7, ROW = 100,
  OPEN_READONLY = 1, OPEN_NOMUTEX = 0x8000,
  CONFIG_NO_CKPT_ON_CLOSE = 1006, // https://sqlite.org/c3ref/c_dbconfig_defensive.html
  CHECKPOINT_TRUNCATE = 3,
  BUSY_MS = 5000, // as nat_open sets it
};

// SQLite calls it after each commit that wrote to the log. A hook of ones own is
// also what ends the checkpoints that SQLite makes by itself.
static int committed(void *p, sqlite3 *db, const char *name, int frames) {
  nat_wal *w = p;
  (void)db;
  (void)name;
  w->commits++;
  w->frames = frames;
  return OK;
}

nat_wal *nat_watch(nat_conn *c, int *rc) {
  nat_wal *w = calloc(1, sizeof *w);
  if (!w) {
    *rc = NOMEM;
    return NULL;
  }
  c->trusted = 1;
  *rc = sqlite3_prepare_v3(c->db, "PRAGMA data_version", -1, 1, &w->version, NULL);
  c->trusted = 0;
  if (!*rc) *rc = sqlite3_db_config(c->db, CONFIG_NO_CKPT_ON_CLOSE, 1, (int *)NULL);
  if (*rc) {
    sqlite3_finalize(w->version);
    free(w);
    return NULL;
  }
  sqlite3_wal_hook(c->db, committed, w);
  return w;
}

void nat_unwatch(nat_conn *c, nat_wal *w) {
  sqlite3_wal_hook(c->db, NULL, NULL);
  sqlite3_finalize(w->version);
  free(w);
}

int nat_data_version(nat_conn *c, nat_wal *w, int64_t *version) {
  c->trusted = 1; // SQLite compiles it anew when the schema has changed
  int rc = sqlite3_step(w->version);
  if (rc == ROW) *version = sqlite3_column_int64(w->version, 0);
  int ended = sqlite3_reset(w->version);
  c->trusted = 0;
  return rc == ROW ? OK : ended;
}

// A reader that is in the way is not waited for: the writer goes on, and the next
// checkpoint does the rest.
int nat_checkpoint(nat_conn *c, int *frames, int *moved) {
  sqlite3_busy_timeout(c->db, 0);
  int rc = sqlite3_wal_checkpoint_v2(c->db, "main", CHECKPOINT_TRUNCATE, frames, moved);
  sqlite3_busy_timeout(c->db, BUSY_MS);
  return rc;
}

// nat_replace makes the database equal to the one in the file at path, in one
// transaction that other connections see as any other.
int nat_replace(nat_conn *c, const char *path) {
  sqlite3 *from = NULL;
  int rc = sqlite3_open_v2(path, &from, OPEN_READONLY | OPEN_NOMUTEX, NULL);
  if (!rc) {
    sqlite3_backup *b = sqlite3_backup_init(c->db, "main", from, "main");
    if (!b) {
      rc = sqlite3_errcode(c->db);
    } else {
      sqlite3_backup_step(b, -1); // an error stays until the end
      rc = sqlite3_backup_finish(b);
    }
  }
  sqlite3_close_v2(from);
  return rc;
}
