package form

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"
)

// Reader reads a multipart form part by part, as [multipart.Reader] does, and tells one that is cut
// off from one that ended.
type Reader struct {
	form *multipart.Reader
	end  *endFinder
}

// NewReader returns a reader of the form in body, whose content type is contentType.
func NewReader(contentType string, body io.Reader) (*Reader, error) {
	mediaType, params, err := mime.ParseMediaType(contentType)
	if err != nil || mediaType != "multipart/form-data" || params["boundary"] == "" {
		return nil, malformed(nil, "the body must be multipart/form-data with a boundary, not %q", clip(contentType))
	}
	end := &endFinder{r: body, mark: []byte("--" + params["boundary"] + "--")}
	return &Reader{form: multipart.NewReader(end, params["boundary"]), end: end}, nil
}

// Next returns the next part. The error is io.EOF, bare, after the last one; an *Error when the form
// is broken or cut off.
func (r *Reader) Next() (*multipart.Part, error) {
	part, err := r.form.NextRawPart()
	switch {
	case err == nil:
		return part, nil
	case err == io.EOF && r.end.found: // bare at the end of the form; a form cut inside a part wraps it
		return nil, io.EOF
	case err == io.EOF:
		return nil, malformed(nil, "the form is cut off: its last boundary is missing")
	default:
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF // io.EOF inside would read as the end
		}
		return nil, malformed(err, "the form is broken or cut off between two parts")
	}
}

// endFinder notes whether the form's last boundary went by. [multipart.Reader] reports a form that is
// cut right after a boundary line as one that ended well.
type endFinder struct {
	r      io.Reader
	mark   []byte
	window []byte
	found  bool
}

func (f *endFinder) Read(b []byte) (int, error) {
	n, err := f.r.Read(b)
	if !f.found && n > 0 {
		// The mark may lie across two reads, so the window begins with the end of the last one.
		f.window = append(f.window, b[:n]...)
		f.found = bytes.Contains(f.window, f.mark)
		f.window = append(f.window[:0], f.window[max(0, len(f.window)-len(f.mark)):]...)
	}
	return n, err
}
