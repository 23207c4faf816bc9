// Package vecjson reads and writes vectors as JSON, as the API and the bindings
// send them. Reading is by hand: a call brings millions of numbers, which
// encoding/json takes several times as long for. What it accepts is JSON and
// nothing else (a fuzz test holds it against encoding/json), and what it returns
// shares no memory with what it read.
package vecjson
