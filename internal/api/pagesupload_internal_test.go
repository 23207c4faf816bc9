package api

import (
	"errors"
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
