package form_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/textproto"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/selvage-dev/selvage/internal/api/form"
)

// memory is a Sink that keeps what it was given.
type memory struct {
	blobs map[string]string
	most  int // largest number of bytes taken by one Put, also by one that failed
	fail  error
}

var errFull = errors.New("larger than max")

func (m *memory) Put(_ context.Context, r io.Reader, limit int64) (string, int64, error) {
	if m.fail != nil {
		return "", 0, m.fail
	}
	var b bytes.Buffer
	n, err := io.Copy(&b, io.LimitReader(r, limit+1))
	m.most = max(m.most, int(n))
	if err != nil {
		return "", 0, err
	}
	if n > limit {
		return "", 0, errFull
	}
	sum := sha256.Sum256(b.Bytes())
	id := hex.EncodeToString(sum[:4])
	if m.blobs == nil {
		m.blobs = map[string]string{}
	}
	m.blobs[id] = b.String()
	return id, n, nil
}

type part struct{ name, contentType, body string }

const boundary = "----formdata-undici-012345678901"

func encode(parts ...part) (contentType, body string) {
	var b strings.Builder
	w := multipart.NewWriter(&b)
	_ = w.SetBoundary(boundary)
	for _, p := range parts {
		h := textproto.MIMEHeader{}
		h.Set("Content-Disposition", fmt.Sprintf(`form-data; name="%s"; filename="%s"`, p.name, p.name))
		if p.contentType != "" {
			h.Set("Content-Type", p.contentType)
		}
		pw, _ := w.CreatePart(h)
		_, _ = io.WriteString(pw, p.body)
	}
	_ = w.Close()
	return w.FormDataContentType(), b.String()
}

func limits() form.Limits {
	return form.Limits{Metadata: 1 << 10, Total: 1 << 10, SourceMaps: 1 << 10, Parts: 8, Name: 64}
}

func TestParse(t *testing.T) {
	t.Parallel()
	ct, body := encode(
		part{"metadata", "", `{"main_module":"index.js"}`},
		part{"index.js", "application/javascript+module", "export default {}"},
		part{"./f572-hello.txt", "text/plain", "hi"},
		part{"sub/x.js", "application/javascript+module;", ""},
		part{"index.js.map", "application/source-map", "{}"},
	)
	sink := &memory{}
	up, err := form.Parse(t.Context(), ct, strings.NewReader(body), sink, limits())
	if err != nil {
		t.Fatal(err)
	}
	if got := string(up.Metadata); got != `{"main_module":"index.js"}` {
		t.Errorf("metadata = %s", got)
	}
	type row struct{ Name, Type, Body string }
	var got []row
	for _, p := range up.Parts {
		if int(p.Size) != len(sink.blobs[p.ID]) {
			t.Errorf("%s: size %d, stored %d", p.Name, p.Size, len(sink.blobs[p.ID]))
		}
		got = append(got, row{p.Name, p.MediaType, sink.blobs[p.ID]})
	}
	want := []row{
		{"index.js", "application/javascript+module", "export default {}"},
		{"./f572-hello.txt", "text/plain", "hi"},
		{"sub/x.js", "application/javascript+module", ""},
		{"index.js.map", "application/source-map", "{}"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	meta := part{"metadata", "", "{}"}
	many := []part{meta}
	for i := range 9 {
		many = append(many, part{fmt.Sprint("m", i), "text/plain", ""})
	}
	big := strings.Repeat("x", 600)
	cases := []struct {
		name  string
		parts []part
		kind  error
		text  string
	}{
		{"no metadata", []part{{"a", "text/plain", ""}}, form.ErrMalformed, "no part named"},
		{"two of one name", []part{meta, {"a", "", ""}, {"a", "", ""}}, form.ErrMalformed, `two parts named "a"`},
		{"two metadata", []part{meta, meta}, form.ErrMalformed, `two parts named "metadata"`},
		{"no name", []part{meta, {"", "", ""}}, form.ErrMalformed, "has no name"},
		{"control characters", []part{meta, {"a\x7fb", "", ""}}, form.ErrMalformed, ""},
		{"long name", []part{meta, {strings.Repeat("n", 65), "", ""}}, form.ErrTooLarge, "longer than 64"},
		{"too many", many, form.ErrTooLarge, "more than 8 parts"},
		{"metadata too large", []part{{"metadata", "", strings.Repeat(" ", 1025)}}, form.ErrTooLarge, "metadata"},
		{"modules too large in all", []part{meta, {"a", "", big}, {"b", "", big}}, form.ErrTooLarge, "modules of the script are larger than 1024"},
		{"maps too large", []part{meta, {"a", form.SourceMapType, big}, {"b", form.SourceMapType, big}}, form.ErrTooLarge, "source maps"},
		{"bad type", []part{meta, {"a", "a b/c d", ""}}, form.ErrMalformed, "content type"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ct, body := encode(c.parts...)
			_, err := form.Parse(t.Context(), ct, strings.NewReader(body), &memory{}, limits())
			var e *form.Error
			if !errors.As(err, &e) || !errors.Is(err, c.kind) || !strings.Contains(e.Error(), c.text) {
				t.Errorf("error = %v, want %v with %q", err, c.kind, c.text)
			}
		})
	}
	for _, ct := range []string{"", "application/json", "multipart/form-data", "multipart/mixed; boundary=x"} {
		if _, err := form.Parse(t.Context(), ct, strings.NewReader(""), &memory{}, limits()); !errors.Is(err, form.ErrMalformed) {
			t.Errorf("content type %q: %v", ct, err)
		}
	}
}

// TestParseCut cuts a good form at every byte: it is refused, or (after the last boundary) whole.
func TestParseCut(t *testing.T) {
	t.Parallel()
	ct, body := encode(part{"metadata", "", "{}"}, part{"index.js", "application/javascript+module", "export default {}"})
	end := strings.LastIndex(body, boundary) + len(boundary) + 2
	for i := range end {
		if _, err := form.Parse(t.Context(), ct, iotest.OneByteReader(strings.NewReader(body[:i])), &memory{}, limits()); err == nil {
			t.Fatalf("cut at byte %d of %d was accepted: %q", i, len(body), body[:i])
		}
	}
}

// TestParseStopsEarly holds that a module beyond the limit is neither read on nor kept.
func TestParseStopsEarly(t *testing.T) {
	t.Parallel()
	ct, head := encode(part{"metadata", "", "{}"}, part{"index.js", "application/javascript+module", "@"})
	cut := strings.Index(head, "@")
	body := &counter{r: io.MultiReader(strings.NewReader(head[:cut]), io.LimitReader(zeros{}, 200<<20))}
	sink := &memory{}
	_, err := form.Parse(t.Context(), ct, body, sink, limits())
	if !errors.Is(err, form.ErrTooLarge) {
		t.Fatal(err)
	}
	if body.n > 64<<10 || sink.most > 1<<10 {
		t.Errorf("read %d bytes, stored %d", body.n, sink.most)
	}
}

func TestParseSinkFails(t *testing.T) {
	t.Parallel()
	ct, body := encode(part{"metadata", "", "{}"}, part{"a", "", "x"})
	disk := errors.New("disk on fire")
	_, err := form.Parse(t.Context(), ct, strings.NewReader(body), &memory{fail: disk}, limits())
	var e *form.Error
	if !errors.Is(err, disk) || errors.As(err, &e) {
		t.Errorf("error = %v; a failing store is not the form's fault", err)
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

type counter struct {
	r io.Reader
	n int
}

func (c *counter) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += n
	return n, err
}

func FuzzParse(f *testing.F) {
	ct, good := encode(
		part{"metadata", "", `{"main_module":"index.js"}`},
		part{"index.js", "application/javascript+module", "export default {}"},
		part{"../../x", "text/plain", "hi"},
		part{"index.js.map", "application/source-map", "{}"},
	)
	f.Add(ct, []byte(good))
	f.Add(ct, []byte(good[:len(good)/2]))
	f.Add("multipart/form-data; boundary=a", []byte("--a\r\nContent-Disposition: form-data; name=\"metadata\"\r\n\r\n{}\r\n--a--"))
	f.Add("multipart/form-data; boundary=\"\"", []byte("----"))
	f.Fuzz(func(t *testing.T, ct string, body []byte) {
		l := limits()
		sink := &memory{}
		up, err := form.Parse(t.Context(), ct, bytes.NewReader(body), sink, l)
		if err != nil {
			return
		}
		seen := map[string]bool{form.MetadataName: true}
		var total, maps int64
		for _, p := range up.Parts {
			if p.Name == "" || seen[p.Name] || len(p.Name) > l.Name {
				t.Errorf("part name %q", p.Name)
			}
			seen[p.Name] = true
			if p.MediaType == form.SourceMapType {
				maps += p.Size
			} else {
				total += p.Size
			}
		}
		if len(seen) > l.Parts || total > l.Total || maps > l.SourceMaps || int64(len(up.Metadata)) > l.Metadata {
			t.Errorf("limits broken: %d parts, %d + %d bytes, metadata %d", len(seen), total, maps, len(up.Metadata))
		}
	})
}
