// Package ratelimit counts what workers ask it to count: the service behind the
// rate limiting binding.
//
// A limit is "at most N in a window of P seconds". Windows are fixed and aligned
// to the clock (a window of 60 s begins with the minute), so one number a key is
// the whole state and every key of a period starts afresh at the same moment.
// Around that moment up to 2 N may pass within P seconds: that is what fixed
// windows mean, and what the local tools for the same apps do as well.
//
// # Invariants
//
//   - Within a window never more than the limit is allowed for a key, by however
//     many callers at the same time. A refused call takes nothing from the budget.
//   - Counters belong to (account, namespace, period, key). All scripts of an
//     account that name the same namespace share them; no other account does.
//   - Memory is bounded by Options.MaxKeys, whatever the keys. When that many
//     are counted one by one in a window, further keys are counted in a count-min
//     sketch (Cormode and Muthukrishnan, 2005). It never counts too little, so a
//     limit still holds; it may count too much and refuse a new key too early. A
//     namespace that floods pays first: it has at most half of the exact counters
//     (MaxKeys/2) to itself.
//   - Keys are hashed with a secret of this process and not kept: nobody can make
//     two keys collide on purpose, and no key can be read back from memory.
//   - Counters live in memory: after a restart every window begins anew.
package ratelimit
