#ifndef SELVAGE_FAULTVFS_H
#define SELVAGE_FAULTVFS_H

int faultvfs_install(const char *part);
void faultvfs_full(int on);
void faultvfs_watch(int on);
void faultvfs_freeze(int on);

#endif
