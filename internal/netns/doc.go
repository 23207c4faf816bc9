// Package netns makes network namespaces and sockets in them. A socket stays in the
// namespace in which it was made, whoever has it, so a listener or a connection
// that comes from here is used like any other.
//
// A namespace is held by an open descriptor and by nothing else: no mount, no name.
// When this process ends, and whoever else is in it, it is gone. Entering one needs
// CAP_SYS_ADMIN.
package netns
