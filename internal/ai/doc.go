// Package ai is the service that runs models: it knows which there are, checks what
// is sent to them, and finds who answers: this process, or a server behind it. It
// knows no HTTP of the outside world; the doors translate (package wire has the forms).
//
// # A run's way
//
//	Run ──▶ find the model ──▶ check the inputs ──▶ who runs it? ──▶ reserve ──▶ wait in turn
//	                                                                                  │
//	                                    settle ◀── engine in this process, or server ◀┘
//
// # Invariants
//
//   - Nothing pretends: a model that is not there is an error that says how to get
//     it, never another model's answer.
//   - Nothing is downloaded unasked. A model that is listed as stored is whole (modelstore).
//   - An input that does not fit the model's schema reaches no engine.
//   - A caller that leaves stops the work done for it.
//   - What was used is on disk before the caller has the end of its answer (ledger).
//   - No caller can keep another from being served: queues are bounded, and go round.
package ai
