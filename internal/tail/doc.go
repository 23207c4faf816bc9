// Package tail turns what happens in a script into trace items and hands them to
// those who watch: "wrangler tail" and tail workers.
//
// # An item's way
//
//	the edge, the scheduler        the log lines of the process
//	        │ Begin, End                   │ Line, by ray
//	        ▼                              ▼
//	     Invocation ◀──────────────────────┘
//	        │ ended, and the process has said that the handler and all it gave to
//	        │ waitUntil have ended; or the time for that is up
//	        ▼
//	      Item ──▶ filter ──▶ queue of a Tail ──▶ its WebSocket
//	          └──▶ batch of a tail worker ──▶ its tail handler
//
// There is no tail worker in the runtime on the way of a request: it costs 40 % of a
// small worker's throughput. What the runtime would tell one is put together here,
// of what the edge knows and what the process logs.
//
// # Invariants
//
//   - While nobody watches any script, an invocation costs one atomic load.
//   - An invocation becomes one item, at most bound after it ended. What it logs
//     later is in the event log only.
//   - Nobody who watches can slow a request down: queues are bounded, and what does
//     not fit is dropped and told.
//   - What an item shows of headers and URL is redacted as the platform does it,
//     except for tail workers, which may ask for the whole.
//   - What a tail worker does itself goes to no tail worker, so that there is no loop.
package tail
