package form

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"strings"
	"unicode/utf8"
)

// MetadataName is the name of the part that holds the upload's metadata.
const MetadataName = "metadata"

// Limits bounds an upload. All fields must be positive.
type Limits struct {
	// Metadata is the largest metadata part, in bytes.
	Metadata int64
	// Total is the largest sum of the modules' sizes, in bytes. Source maps do not count.
	Total int64
	// SourceMaps is the largest sum of the source maps' sizes, in bytes.
	SourceMaps int64
	// Parts is the largest number of parts.
	Parts int
	// Name is the longest name of a part, in bytes.
	Name int
}

// Sink keeps the content of a module. Put reads r to its end and may fail when it holds more than
// limit bytes.
type Sink interface {
	Put(ctx context.Context, r io.Reader, limit int64) (id string, size int64, err error)
}

// Upload is what a form held.
type Upload struct {
	// Metadata is the JSON text of the metadata part.
	Metadata []byte
	// Parts holds the others in the order of the form.
	Parts []Part
}

// Part is one module or source map.
type Part struct {
	Name string
	// MediaType is the part's content type in lower case without parameters, "" when it has none.
	MediaType string
	// ID is what the Sink knows the content by.
	ID   string
	Size int64
}

// SourceMapType is the media type of a source map.
const SourceMapType = "application/source-map"

// Kinds of Error.
var (
	// ErrMalformed means that the body is no form as this package reads it.
	ErrMalformed = errors.New("malformed upload form")
	// ErrTooLarge means that the form breaks a limit.
	ErrTooLarge = errors.New("upload too large")
)

// Error says what is wrong with a form, for the one who sent it. Kind is ErrMalformed or ErrTooLarge.
type Error struct {
	Kind    error
	Message string
	Err     error
}

// Error returns the message and its cause.
func (e *Error) Error() string {
	if e.Err != nil {
		return e.Message + ": " + e.Err.Error()
	}
	return e.Message
}

// Unwrap returns the kind and the cause.
func (e *Error) Unwrap() []error {
	if e.Err != nil {
		return []error{e.Kind, e.Err}
	}
	return []error{e.Kind}
}

func malformed(cause error, format string, args ...any) error {
	return &Error{Kind: ErrMalformed, Message: fmt.Sprintf(format, args...), Err: cause}
}

func tooLarge(format string, args ...any) error {
	return &Error{Kind: ErrTooLarge, Message: fmt.Sprintf(format, args...)}
}

// Parse reads the form in body, whose content type is contentType, and puts its modules into sink.
// An error that is the form's fault is an *Error; any other comes from body or from sink. What the
// sink took before an error stays there: the caller's sweep removes it.
func Parse(ctx context.Context, contentType string, body io.Reader, sink Sink, l Limits) (*Upload, error) {
	r, err := NewReader(contentType, body)
	if err != nil {
		return nil, err
	}
	p := parser{reader: r, sink: sink, limits: l, seen: map[string]bool{}}
	for {
		done, err := p.next(ctx)
		if err != nil {
			return nil, err
		}
		if done {
			break
		}
	}
	if p.upload.Metadata == nil {
		return nil, malformed(nil, `the upload form has no part named "metadata"`)
	}
	return &p.upload, nil
}

type parser struct {
	reader *Reader
	sink   Sink
	limits Limits
	seen   map[string]bool
	upload Upload
	// modules and maps are the running totals in bytes.
	modules, maps int64
}

// next reads one part.
func (p *parser) next(ctx context.Context) (done bool, err error) {
	part, err := p.reader.Next()
	if errors.Is(err, io.EOF) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	name := part.FormName()
	if err := p.checkName(name); err != nil {
		return false, err
	}
	p.seen[name] = true
	if name == MetadataName {
		p.upload.Metadata, err = p.metadata(part)
		return false, err
	}
	return false, p.module(ctx, name, part)
}

func (p *parser) checkName(name string) error {
	switch {
	case name == "":
		return malformed(nil, "a part of the upload form has no name")
	case len(name) > p.limits.Name:
		return tooLarge("the name of the part %q is longer than %d bytes", clip(name), p.limits.Name)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return malformed(nil, "the name of the part %q holds control characters or is not UTF-8", clip(name))
	case p.seen[name]:
		return malformed(nil, "the upload form has two parts named %q", clip(name))
	case len(p.seen) >= p.limits.Parts:
		return tooLarge("the upload form has more than %d parts", p.limits.Parts)
	}
	return nil
}

func (p *parser) metadata(r io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, p.limits.Metadata+1))
	if err != nil {
		return nil, malformed(err, "the metadata of the upload breaks off")
	}
	if int64(len(text)) > p.limits.Metadata {
		return nil, tooLarge("the metadata of the upload is larger than %d bytes", p.limits.Metadata)
	}
	return text, nil
}

func (p *parser) module(ctx context.Context, name string, part *multipart.Part) error {
	mediaType, err := partType(part.Header.Get("Content-Type"))
	if err != nil {
		return malformed(err, "the part %q has an unreadable content type", clip(name))
	}
	total, limit, what := &p.modules, p.limits.Total, "the modules of the script"
	if mediaType == SourceMapType {
		total, limit, what = &p.maps, p.limits.SourceMaps, "the source maps of the script"
	}
	// The guard fails before the sink does, so which of the two bounds broke needs no guessing.
	g := &guard{r: part, left: limit - *total}
	id, size, err := p.sink.Put(ctx, g, limit-*total)
	switch {
	case g.broken:
		return tooLarge("%s are larger than %d bytes in all", what, limit)
	case g.err != nil:
		return malformed(g.err, "the part %q breaks off", clip(name))
	case err != nil:
		return fmt.Errorf("store module %q: %w", clip(name), err)
	}
	*total += size
	p.upload.Parts = append(p.upload.Parts, Part{Name: name, MediaType: mediaType, ID: id, Size: size})
	return nil
}

// partType reads a part's content type. A parameter list that ends in ";" is fine: wrangler writes
// such.
func partType(header string) (string, error) {
	if header == "" {
		return "", nil
	}
	mediaType, _, err := mime.ParseMediaType(header)
	if err != nil && !errors.Is(err, mime.ErrInvalidMediaParameter) {
		return "", err
	}
	return mediaType, nil
}

// guard passes on at most left bytes and keeps what went wrong with the form apart from what goes
// wrong in the sink.
type guard struct {
	r      io.Reader
	left   int64
	broken bool
	err    error
}

func (g *guard) Read(b []byte) (int, error) {
	if g.broken {
		return 0, ErrTooLarge
	}
	n, err := g.r.Read(b)
	if int64(n) > g.left {
		g.broken = true
		return 0, ErrTooLarge
	}
	g.left -= int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		g.err = err
	}
	return n, err
}

// clip bounds a text from outside for use in a message.
func clip(s string) string {
	const most = 100
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
