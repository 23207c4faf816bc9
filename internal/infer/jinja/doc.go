// Package jinja runs the chat templates that models ship with: the part of
// Jinja2 that they use, as Hugging Face's library sets it up (trim_blocks,
// lstrip_blocks, loop controls, tojson without escapes, raise_exception,
// strftime_now).
//
// A template is a program of a stranger's, so everything it can spend is
// bounded ([Limits]): steps, bytes that it builds or reads, bytes of output,
// depth. It reaches nothing but the values that it is given and the time. There
// is no include, import or extends, and values cannot be changed in place.
//
// Values print as Python prints them, since templates were written against it.
// Where Jinja2 has a method before a key of the same name (d.items), so has this.
//
// Inside the package an error is a panic with a [*SyntaxError] or a [*RunError],
// which Parse and Render turn into a result, as text/template does; no other
// panic is caught.
package jinja
