// Package functions makes the main module of a Pages project out of its folder of
// functions, as wrangler does: a file is a route, _middleware is in front of all
// below its folder, [name] stands for one segment and [[name]] for all that
// follow.
//
// Invariants:
//   - What is made imports the project's own files and holds no text of them.
//   - Which of two routes comes first depends on their names alone, not on the
//     order in which a folder is read.
//   - The rules for _routes.json cover every route: a path that a function
//     answers never misses it. They may cover more.
package functions
