package client

import (
	"bytes"
	"fmt"
	"io"
	"mime/multipart"
	"net/textproto"
)

// formBody is a multipart form that can be sent any number of times without being held twice in
// memory.
type formBody struct {
	parts    []formPart
	boundary string
}

type formPart struct {
	name        string
	contentType string // "" for none
	plain       bool   // without a filename
	content     []byte
}

// encode returns the form's bytes as a chain of readers over the parts' own, and their number.
func (f *formBody) encode() (open func() io.Reader, length int64, contentType string, err error) {
	var frame bytes.Buffer
	w := multipart.NewWriter(&frame)
	if f.boundary != "" {
		if err := w.SetBoundary(f.boundary); err != nil {
			return nil, 0, "", err
		}
	}
	var pieces [][]byte
	cut := func() {
		pieces = append(pieces, bytes.Clone(frame.Bytes()))
		frame.Reset()
	}
	for _, p := range f.parts {
		h := textproto.MIMEHeader{}
		h.Set("Content-Disposition", multipart.FileContentDisposition(p.name, p.name))
		if p.plain {
			h.Set("Content-Disposition", fmt.Sprintf(`form-data; name=%q`, p.name))
		}
		if p.contentType != "" {
			h.Set("Content-Type", p.contentType)
		}
		if _, err := w.CreatePart(h); err != nil {
			return nil, 0, "", err
		}
		cut()
		pieces = append(pieces, p.content)
	}
	if err := w.Close(); err != nil {
		return nil, 0, "", err
	}
	cut()
	for _, p := range pieces {
		length += int64(len(p))
	}
	open = func() io.Reader {
		readers := make([]io.Reader, len(pieces))
		for i := range pieces {
			readers[i] = bytes.NewReader(pieces[i])
		}
		return io.MultiReader(readers...)
	}
	return open, length, w.FormDataContentType(), nil
}

// set makes the form the body of a request.
func (f *formBody) set(r *request) error {
	open, length, contentType, err := f.encode()
	if err != nil {
		return err
	}
	r.contentType, r.length = contentType, length
	r.body = func() (io.ReadCloser, error) { return io.NopCloser(open()), nil }
	return nil
}
