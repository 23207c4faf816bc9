// Package bundle turns a project's sources into the modules of an upload, with
// esbuild inside this program and without Node.js. The same sources give the
// modules, names and code that wrangler gives; docs/DEPLOY.md lists where not.
//
// Invariants:
//   - Nothing is written: the result is in memory.
//   - No code of the project runs.
//   - A specifier that the runtime would not find is an error here, with file,
//     line and excerpt, not a version that fails to start.
package bundle
