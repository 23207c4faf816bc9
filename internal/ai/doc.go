// Package ai is the service that runs models: it knows which there are, checks what
// is sent to them, and finds who answers: this process, or a server behind it. It
// knows no HTTP of the outside world; the doors translate.
//
// # A run's way
//
//	Run ──▶ find the model ──▶ check the inputs against its schema ──▶ who runs it?
//
// # Invariants
//
//   - Nothing pretends: a model that is not there is an error that says how to get
//     it, never another model's answer.
//   - Nothing is downloaded unasked.
//   - An input that does not fit the model's schema reaches no engine.
package ai
