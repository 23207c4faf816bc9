// Package accounts knows who may do what: the account of this installation, its
// API tokens and its tickets.
//
// A token is a long-lived secret with scopes, shown once; the store keeps its
// SHA-256 alone. A secret has 238 random bits, so a fast hash is enough. A
// ticket is a short-lived signed statement "this account may do this action to
// this object until then", for the routes that clients call without their token
// (uploads, tails, signed URLs).
//
// Invariants:
//   - A revoked or rolled secret is refused from the moment the call returns,
//     cached or not.
//   - One operator token exists, with all rights; its secret lies in the data
//     directory (mode 0600) for the commands on this machine. At every moment
//     of a roll, a kill included, the file is valid or OperatorToken says how to
//     make a new one.
//   - Errors never say whether a secret was unknown, revoked or expired.
package accounts
