// Package form reads the multipart form in which a script is uploaded: a part "metadata" with JSON,
// and one part per module.
//
// The form is read as a stream. Modules go straight into a [Sink], so a form of any size costs the
// memory of one buffer, and one that breaks a limit is refused at the byte that breaks it. Names are
// taken from the part's name, never its filename: [mime/multipart] strips folders from that one, and
// a module's name may be a path.
package form
