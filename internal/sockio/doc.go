// Package sockio reads and writes sockets with less help from the Go scheduler
// than package net takes.
//
// A system call of package net announces itself to the scheduler, so that a
// thread stuck in the kernel does not hold up other goroutines. A read or write of
// a non-blocking socket never gets stuck, but a write to a loopback peer runs that
// peer's receive path and easily takes 20 µs, which is when the scheduler gives
// its processor away: a thread is woken, the returning goroutine has to queue,
// and under load that costs more than the system call. So on Linux the calls here
// are raw ones, and waiting is left to the runtime's poller as usual (deadlines
// and Close work). Measured with the benchmark's assets suite, in requests per second
// against an nginx with open_file_cache: files of 10 KB went from 0.78 to 0.84, of
// 1 MB from 0.67 to 1.1.
//
// Elsewhere, and for connections without a descriptor, everything falls back to
// the connection's own methods.
package sockio
