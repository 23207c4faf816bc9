// Package site reads the folder of a Pages project: the settings in its wrangler file, the folder that is the site,
// and the code of its Functions, which it puts together.
//
// Invariants:
//   - Nothing of the project is run.
//   - Nothing is written, but for a main module in a temporary folder that is gone afterwards.
//   - It follows whatever paths and links the project has, so it runs as whoever may read all that these could
//     lead to: the person who deploys, or a process that sees nothing but the project. [Pack] is what such a
//     process hands over, and [Unpack] takes nothing in it on trust but its form.
package site
