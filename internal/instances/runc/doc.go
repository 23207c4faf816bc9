// Package runc is the driver that runs containers with runc, inside of the keeper
// (package keeper).
//
// A container gets: its image's layers beneath a folder of its own (overlayfs); new
// namespaces for users, processes, mounts, network, host name, IPC and control
// groups; 65536 user ids that nobody else on the machine has, so that its root is
// nobody outside; the capabilities that package managers and servers use, over its
// own namespaces only; a list of system calls; and /proc and /sys without what tells
// of the machine or changes it.
//
// All containers share one range of user ids, so layers are unpacked once. They are
// kept apart by everything else in the list above.
package runc
