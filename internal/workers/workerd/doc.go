// Package workerd runs one version of a worker in one process of the stock
// runtime: it writes the config, makes the sockets, waits until the process
// answers, reads what it logs, and ends it.
//
// # States of a process
//
//	  Start
//	    │  config on stdin, two listening sockets as descriptors
//	    ▼
//	starting ──── deadline, exit, caller gives up ───▶ killed: Start fails
//	    │  every top-level statement ran, and an answer came
//	    ▼
//	 running ──── crash, out of memory ──────────────▶ ended: Done, Err ≠ nil
//	    │  Stop: SIGTERM
//	    ▼
//	draining ──── the context of Stop ends: SIGKILL ─▶ ended: Done, Err ≠ nil
//	    │  the last request in flight was answered
//	    ▼
//	  ended: Done, Err = nil
//
// Measured of the runtime (1.20261117.1): on SIGTERM it refuses new connections at
// once, finishes requests in flight including streamed bodies, and exits with
// code 0. While JavaScript runs in a loop it notices no SIGTERM. An idle connection
// it closes after 15 seconds.
//
// # Invariants
//
//   - The process can reach the sockets that its bindings name, by paths relative
//     to its private folder, and nothing else: the only network in the config is
//     one that allows no address.
//   - Nothing of a worker is written to disk: config, code and secrets go through
//     a pipe.
//   - Both sockets are made here and handed over open. So there is never a socket
//     at the path that nobody listens on, a request sent too early waits instead
//     of failing, and when the process dies connections are refused.
//   - No handler of the worker is called to find out whether it runs: what answers
//     is a service of the runtime's own, which starts to answer when every script
//     was evaluated.
//   - No name, flag or value from outside changes anything in a config but itself
//     (FuzzConfig).
//
// # The entry module
//
// The main module in the config is ours (js/entry.js). It re-exports everything of
// the worker's main module and wraps the handlers of its default export, its named
// entrypoints and its Durable Objects, so that
// they run in an AsyncLocalStorage that holds the ray of the request. From there
// the patched console puts the ray before each line, and wrapped bindings put it
// into the header selvage-ray. An exception that leaves a handler is reported with
// its stack and ray, and thrown on unchanged; a rejected promise that was given to
// ctx.waitUntil is reported. Nothing of this is in env.
//
// A module either has a default export or has not, and ours must be the same as
// the worker's, which is known only when it was linked. If the first guess was
// wrong the process is started a second time with the other entry module. That
// happens only to main modules without a default export.
//
// What a worker can notice: one more frame at the end of a stack, and
// import.meta.main, which is false in its main module. What is not reported,
// because the runtime tells nobody: a rejected promise that was given to waitUntil
// through the function of that name in "cloudflare:workers", and one that nobody
// handles.
//
// A script in service-worker syntax imports nothing and is no module. The runtime
// loads js/listeners.js before it runs, because a binding of a random name is
// wrapped by it; that global removes itself. It replaces addEventListener by one
// that runs listeners as the entry module runs handlers, and its own listener comes
// first. What the script listens to is asked of it when it has run: a promise made
// before may be settled before, since whatever makes the runtime load one of its
// own modules runs microtasks.
//
// Lines that only the platform may write carry a nonce that is different in every
// process and is never in env. A worker that finds it out can mislabel its own
// lines, nothing else.
package workerd
