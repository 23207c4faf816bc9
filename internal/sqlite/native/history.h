// What keeps the history of a database needs of SQLite: to know of every commit,
// to checkpoint when it says so, and to put another file's pages in place.
#ifndef SELVAGE_NATIVE_HISTORY_H
#define SELVAGE_NATIVE_HISTORY_H

#include "glue.h"

// nat_wal is what a connection knows of the write-ahead log.
typedef struct nat_wal {
  int64_t commits; // by this connection, since the watch began
  int frames;      // in the log, after the last of them
  sqlite3_stmt *version;
} nat_wal;

nat_wal *nat_watch(nat_conn *c, int *rc);
void nat_unwatch(nat_conn *c, nat_wal *w);
int nat_data_version(nat_conn *c, nat_wal *w, int64_t *version);
int nat_checkpoint(nat_conn *c, int *frames, int *moved);
int nat_replace(nat_conn *c, const char *path);

#endif
