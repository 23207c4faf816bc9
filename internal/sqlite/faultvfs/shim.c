#include "shim.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

// https://sqlite.org/c3ref/io_methods.html, declared by hand as internal/sqlite/native
// does.
typedef struct sqlite3_file { const struct io_methods *methods; } sqlite3_file;
typedef struct io_methods {
  int version;
  int (*close)(sqlite3_file *);
  int (*read)(sqlite3_file *, void *, int, int64_t);
  int (*write)(sqlite3_file *, const void *, int, int64_t);
  int (*truncate)(sqlite3_file *, int64_t);
  int (*sync)(sqlite3_file *, int);
  void *rest[13];
} io_methods;
// https://sqlite.org/c3ref/vfs.html, up to what is used of it.
typedef struct sqlite3_vfs {
  int version, file_size, max_path;
  struct sqlite3_vfs *next;
  const char *name;
  void *data;
  int (*open)(struct sqlite3_vfs *, const char *, sqlite3_file *, int, int *);
} sqlite3_vfs;
extern sqlite3_vfs *sqlite3_vfs_find(const char *);

// Exported by Go: a sync of the file is about to happen, or has.
extern void faultvfsSync(char *path, int done);

enum { OK = 0, FULL = 13, MAX_FILES = 256, MAX_TABLES = 8 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int (*real_open)(sqlite3_vfs *, const char *, sqlite3_file *, int, int *);
static struct { sqlite3_file *file; char *path; const io_methods *real; } files[MAX_FILES];
static struct { const io_methods *real; io_methods patched; } tables[MAX_TABLES];
static char *watched;
static int full, watching;
static pthread_rwlock_t frozen = PTHREAD_RWLOCK_INITIALIZER; // written: nobody writes

static int find(sqlite3_file *f) {
  for (int i = 0; i < MAX_FILES; i++)
    if (files[i].file == f) return i;
  return -1;
}

static const io_methods *real_of(sqlite3_file *f, char **path) {
  pthread_mutex_lock(&lock);
  int i = find(f);
  if (path) *path = files[i].path;
  const io_methods *m = files[i].real;
  pthread_mutex_unlock(&lock);
  return m;
}

static int on_close(sqlite3_file *f) {
  pthread_mutex_lock(&lock);
  int i = find(f);
  const io_methods *m = files[i].real;
  free(files[i].path);
  files[i].file = NULL;
  pthread_mutex_unlock(&lock);
  return m->close(f);
}

static int on_write(sqlite3_file *f, const void *p, int n, int64_t at) {
  const io_methods *m = real_of(f, NULL);
  if (__atomic_load_n(&full, __ATOMIC_SEQ_CST)) return FULL;
  pthread_rwlock_rdlock(&frozen);
  int rc = m->write(f, p, n, at);
  pthread_rwlock_unlock(&frozen);
  return rc;
}

static int on_truncate(sqlite3_file *f, int64_t size) {
  const io_methods *m = real_of(f, NULL);
  pthread_rwlock_rdlock(&frozen);
  int rc = m->truncate(f, size);
  pthread_rwlock_unlock(&frozen);
  return rc;
}

static int on_sync(sqlite3_file *f, int flags) {
  char *path;
  const io_methods *m = real_of(f, &path);
  if (!__atomic_load_n(&watching, __ATOMIC_SEQ_CST)) return m->sync(f, flags);
  faultvfsSync(path, 0);
  int rc = m->sync(f, flags);
  faultvfsSync(path, 1);
  return rc;
}

static const io_methods *patch(const io_methods *real) {
  for (int i = 0; i < MAX_TABLES; i++) {
    if (!tables[i].real) {
      // Tables of older versions are shorter; those of the unix layer are of version 3.
      tables[i].real = real;
      tables[i].patched = *real;
      tables[i].patched.close = on_close;
      tables[i].patched.write = on_write;
      tables[i].patched.truncate = on_truncate;
      tables[i].patched.sync = on_sync;
    }
    if (tables[i].real == real) return &tables[i].patched;
  }
  abort();
}

static int on_open(sqlite3_vfs *v, const char *path, sqlite3_file *f, int flags, int *out) {
  int rc = real_open(v, path, f, flags, out);
  if (rc || !f->methods || !path || !strstr(path, watched)) return rc;
  pthread_mutex_lock(&lock);
  int i = find(NULL);
  if (i < 0) abort();
  files[i].file = f;
  files[i].path = strdup(path);
  files[i].real = f->methods;
  f->methods = patch(f->methods);
  pthread_mutex_unlock(&lock);
  return rc;
}

int faultvfs_install(const char *part) {
  sqlite3_vfs *v = sqlite3_vfs_find(NULL);
  if (!v || real_open || strcmp(v->name, "unix")) return 1;
  watched = strdup(part);
  real_open = v->open;
  v->open = on_open;
  return OK;
}

void faultvfs_full(int on) { __atomic_store_n(&full, on, __ATOMIC_SEQ_CST); }

void faultvfs_watch(int on) { __atomic_store_n(&watching, on, __ATOMIC_SEQ_CST); }

void faultvfs_freeze(int on) {
  if (on) pthread_rwlock_wrlock(&frozen);
  else pthread_rwlock_unlock(&frozen);
}
