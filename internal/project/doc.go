// Package project reads the configuration of a worker's project: wrangler.json,
// wrangler.jsonc or wrangler.toml, one environment of it, and what there is to
// upload besides code.
//
// Invariants:
//   - A key is either understood, or warned about by name: nothing that changes
//     the worker is dropped silently.
//   - Bindings of kinds that no platform here offers are translated all the
//     same: whether to offer them is for the platform to say.
//   - Every error names file, key and value.
package project
