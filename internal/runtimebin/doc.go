// Package runtimebin brings the workerd program: the release binary carries it
// inside (build tag embed_workerd), compressed, and writes it once to the data
// directory; a development build takes it from tools/node_modules of its source
// tree.
//
// Invariants:
//   - An extracted program was hashed while it was written and put in place by
//     one rename: it is whole or not there.
//   - A program whose size or time differ from what was recorded is hashed
//     again, and extracted again when it is not what the release carries.
//   - Nothing is searched for in PATH: which workerd runs is never an accident.
package runtimebin
