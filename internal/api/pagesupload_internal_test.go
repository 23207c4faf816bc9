package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"strings"
	"testing"

	"github.com/selvage-dev/selvage/internal/api/form"
)

// FuzzBoundary holds that what is found is the boundary by which the form is read.
func FuzzBoundary(f *testing.F) {
	f.Add("----formdata-undici-012345678901\r\nContent-Disposition: form-data; name=\"metadata\"\r\n\r\n{}\r\n")
	f.Add("--\n")
	f.Add("--a\"b\r\n")
	f.Fuzz(func(t *testing.T, head string) {
		boundary, ok := boundaryOf([]byte(head))
		if !ok {
			return
		}
		if !strings.HasPrefix(head, "--"+boundary) {
			t.Fatalf("the boundary %q is not at the beginning of %q", boundary, head)
		}
		if len(boundary) > 70 {
			return // more than a form may have, which its reader says
		}
		var b strings.Builder
		w := multipart.NewWriter(&b)
		if w.SetBoundary(boundary) != nil {
			return
		}
		if _, err := w.CreateFormField("metadata"); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		r, err := form.NewReader(`multipart/form-data; boundary="`+boundary+`"`, strings.NewReader(b.String()))
		if err != nil {
			t.Fatalf("boundary %q: %v", boundary, err)
		}
		if p, err := r.Next(); err != nil || p.FormName() != "metadata" {
			t.Fatalf("boundary %q: %v", boundary, err)
		}
		if _, err := r.Next(); !errors.Is(err, io.EOF) {
			t.Fatalf("boundary %q: %v", boundary, err)
		}
	})
}

// counted stores nothing.
type counted struct{ bytes int64 }

func (c *counted) Put(_ context.Context, r io.Reader, _ int64) (id string, size int64, err error) {
	size, err = io.Copy(io.Discard, r)
	c.bytes += size
	return fmt.Sprint("blob ", c.bytes), size, err
}

// FuzzBundle reads the code of Functions: an answer is a bundle within its bounds or an error of the API's.
func FuzzBundle(f *testing.F) {
	f.Add("--x\r\nContent-Disposition: form-data; name=\"metadata\"\r\n\r\n{\"main_module\":\"a.js\"}\r\n--x\r\nContent-Disposition: form-data; name=\"a.js\"; filename=\"a.js\"\r\n" +
		"Content-Type: application/javascript+module\r\n\r\nexport default {}\r\n--x--\r\n")
	f.Add("----formdata-undici-012345678901\r\nContent-Disposition: form-data; name=\"metadata\"\r\n\r\n{}\r\n")
	f.Add("--x\r\n\r\n--x--")
	f.Fuzz(func(t *testing.T, text string) {
		limits := form.Limits{Metadata: 200, Total: 1000, SourceMaps: 100, Parts: 3, Name: 20}
		var sink counted
		b, err := parseBundle(t.Context(), strings.NewReader(text), &sink, limits)
		if err != nil {
			if code := uploadCode(err); code == 0 {
				t.Fatalf("an error that says nothing to the user: %v", err)
			}
			return
		}
		if len(b.Metadata) > 200 || len(b.Modules) > 3 || sink.bytes > 1200 {
			t.Fatalf("%d bytes of metadata, %d modules, %d bytes", len(b.Metadata), len(b.Modules), sink.bytes)
		}
		for _, m := range b.Modules {
			if len(m.Name) > 20 || m.Blob == "" {
				t.Fatalf("module %+v", m)
			}
		}
	})
}

// uploadCode is that of an error of the API's; 0 for another.
func uploadCode(err error) int {
	if e, ok := errors.AsType[*apiError](err); ok {
		return e.Code
	}
	return 0
}
