// Package rpcrelay stands between a worker's process that calls and the
// processes that are called. Both speak workerd's Cap'n Proto RPC (rpc.capnp,
// level 1, two parties). The caller keeps one connection for all its calls, for
// as long as it lives; the relay sends each new call to the process that serves
// at that moment, so that a deploy of the callee moves new calls over while
// those under way finish where they began.
//
//	                    ┌─ link ── process of the live version
//	caller ── session ──┤
//	                    └─ link ── process of the version before: finishes, then closed
//
// # How it can tell
//
// The bootstrap object of a workerd socket has one method that matters, and each
// event (an RPC session, for instance) begins with a call to it. The relay hosts
// that object itself. A call to it is sent to the link that [Options.Route]
// names; whatever later refers to its results, by question or by capability,
// follows to the same link, since the relay knows which link each of them
// belongs to.
//
// Every peer numbers its own questions and exports. The caller's numbers pass
// unchanged: a link sees a part of them. What processes number is translated,
// since two of them use the same numbers. Nothing else in a message is touched
// or looked at: contents are opaque.
//
// # Invariants
//
//   - A call is sent to one process, once. When its process dies it fails, with
//     the error that workerd itself gives for a lost connection; calls on other
//     links notice nothing.
//   - A target is held ([Target.Acquire]) from the first call on a link until no
//     question is open in either direction and no capability is held across it:
//     streams, RpcTargets and callbacks keep it.
//   - A link whose target stops takes no new call, and is closed when nothing
//     holds it any more.
//   - Order within a link is kept, also of calls that wait for a process to start.
//   - Peers are tenants: sizes, counts and references are checked, and a breach
//     ends the connection it came on, never the relay.
//
// # What it cannot do
//
// A capability of one process, passed as it is to another process, does not work
// there: calls on it fail with an error that says so. workerd passes stubs of its
// own on, which lead through the caller, so a worker does not meet this.
package rpcrelay
