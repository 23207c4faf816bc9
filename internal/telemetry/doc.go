// Package telemetry is how the platform is seen from outside: the event log on
// disk, the process logger, the metrics registry and the service manager's
// notifications.
//
// Invariants:
//   - Append never waits for the disk. What does not fit the buffer is dropped,
//     counted in a metric and told in the log itself.
//   - The event log never grows beyond its size bound by more than one segment,
//     and holds nothing older than its age bound by more than one segment's
//     span.
//   - A line that a crash tore is skipped by readers, never returned in part.
//   - Readers are slow at their own cost only: they read files, not queues.
package telemetry
