package assets

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Manifest maps the path of each asset to its content. Paths are unescaped and start with "/".
type Manifest map[string]Entry

// Entry is the content of one asset.
type Entry struct {
	// Hash is the name wrangler gave the content: 32 hex digits, see [Hash]. It is the ETag.
	Hash string `json:"hash"`
	// Blob is the id of the content in the store.
	Blob string `json:"blob,omitempty"`
	// Size is the length of the content in bytes.
	Size int64 `json:"size"`
	// ContentType is the type to serve, "" for none.
	ContentType string `json:"content_type,omitempty"`
}

// Limits bound a manifest. A zero field takes the default.
type Limits struct {
	// Files is the number of assets. Default 100,000, which is what the platform allows at most.
	Files int
	// PathLen is the length of a path in bytes. Default 1,024.
	PathLen int
	// FileSize is the size of one asset in bytes. Default 25 MiB.
	FileSize int64
}

func (l Limits) withDefaults() Limits {
	if l.Files == 0 {
		l.Files = 100_000
	}
	if l.PathLen == 0 {
		l.PathLen = 1024
	}
	if l.FileSize == 0 {
		l.FileSize = 25 << 20
	}
	return l
}

// The kinds of [ManifestError], to tell them apart with errors.Is.
var (
	ErrSyntax       = errors.New("not a manifest")
	ErrTooManyFiles = errors.New("too many files")
	ErrFileTooLarge = errors.New("file too large")
	ErrPath         = errors.New("path not allowed")
	ErrHash         = errors.New("malformed hash")
	ErrContentType  = errors.New("malformed content type")
)

// ManifestError says what is wrong with a manifest. It unwraps to its kind.
type ManifestError struct {
	// Path is the asset at fault, "" when it is the manifest as a whole.
	Path string
	// Kind is one of the errors above.
	Kind error
	// Detail says what is wrong and what is allowed.
	Detail string
}

// Error implements error.
func (e *ManifestError) Error() string {
	if e.Path == "" {
		return "asset manifest: " + e.Detail
	}
	return fmt.Sprintf("asset manifest: %q: %s", e.Path, e.Detail)
}

// Unwrap returns the kind.
func (e *ManifestError) Unwrap() error { return e.Kind }

// DecodeManifest reads a manifest in JSON: an object of path → {hash, size, blob?, content_type?}.
// It stops at the first entry beyond a limit, so a huge manifest costs no more than the limits
// allow. Unknown fields of an entry are ignored. Errors are *ManifestError or come from r.
func DecodeManifest(r io.Reader, l Limits) (Manifest, error) {
	l = l.withDefaults()
	d := json.NewDecoder(r)
	if err := expectDelim(d, '{'); err != nil {
		return nil, err
	}
	m := make(Manifest)
	for d.More() {
		tok, err := d.Token()
		if err != nil {
			return nil, syntaxError(err)
		}
		path, ok := tok.(string)
		if !ok {
			return nil, &ManifestError{Kind: ErrSyntax, Detail: "an entry has no path"}
		}
		var e Entry
		if err := d.Decode(&e); err != nil {
			return nil, syntaxError(err)
		}
		if _, dup := m[path]; dup {
			return nil, &ManifestError{Path: clip(path), Kind: ErrPath, Detail: "listed twice"}
		}
		if len(m) == l.Files {
			return nil, tooManyFiles(l)
		}
		if err := validateEntry(path, e, l); err != nil {
			return nil, err
		}
		m[path] = e
	}
	if err := expectDelim(d, '}'); err != nil {
		return nil, err
	}
	return m, nil
}

// Encode returns the manifest as JSON that DecodeManifest reads, sorted by path.
func (m Manifest) Encode() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(map[string]Entry(m)); err != nil {
		return nil, fmt.Errorf("encode asset manifest: %w", err)
	}
	return b.Bytes(), nil
}

// Validate checks every entry against the limits. Its error is a *ManifestError.
func (m Manifest) Validate(l Limits) error {
	l = l.withDefaults()
	if len(m) > l.Files {
		return tooManyFiles(l)
	}
	for path, e := range m {
		if err := validateEntry(path, e, l); err != nil {
			return err
		}
	}
	return nil
}

// ValidatePath checks the path of an asset: it starts with "/", has no empty segment, is not longer
// than maxLen bytes, is UTF-8 and holds no "." or ".." segment, backslash or control character. Its
// error is a *ManifestError of kind [ErrPath].
func ValidatePath(path string, maxLen int) error {
	if detail := pathFault(path, maxLen); detail != "" {
		return &ManifestError{Path: clip(path), Kind: ErrPath, Detail: detail}
	}
	return nil
}

func pathFault(path string, maxLen int) string {
	switch {
	case len(path) > maxLen:
		return fmt.Sprintf("the path has %d bytes, more than %d", len(path), maxLen)
	case !strings.HasPrefix(path, "/"):
		return `the path must start with "/"`
	case !utf8.ValidString(path):
		return "the path must be UTF-8"
	}
	start := 1
	for i := 1; i <= len(path); i++ {
		if i == len(path) || path[i] == '/' {
			switch path[start:i] {
			case "", ".", "..":
				return `the path must not have a segment that is empty, "." or ".."`
			}
			start = i + 1
			continue
		}
		if c := path[i]; c < ' ' || c == 0x7f || c == '\\' {
			return "the path must not hold backslashes or control characters"
		}
	}
	return ""
}

func validateEntry(path string, e Entry, l Limits) error {
	if err := ValidatePath(path, l.PathLen); err != nil {
		return err
	}
	if e.Size < 0 || e.Size > l.FileSize {
		return &ManifestError{Path: path, Kind: ErrFileTooLarge, Detail: fmt.Sprintf("size %d is not within 0 and %d bytes", e.Size, l.FileSize)}
	}
	if !IsHash(e.Hash) {
		return &ManifestError{Path: path, Kind: ErrHash, Detail: fmt.Sprintf("the hash must be %d lower-case hex digits", HashLen)}
	}
	if !ValidContentType(e.ContentType) {
		return &ManifestError{Path: path, Kind: ErrContentType, Detail: "the content type must be printable ASCII of at most 256 bytes"}
	}
	return nil
}

// IsHash reports whether s has the form that [Hash] returns.
func IsHash(s string) bool {
	if len(s) != HashLen {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// ValidContentType reports whether s can be a Content-Type field: printable ASCII of at most 256
// bytes. The empty string stands for none.
func ValidContentType(s string) bool {
	if len(s) > 256 {
		return false
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

func tooManyFiles(l Limits) error {
	return &ManifestError{Kind: ErrTooManyFiles, Detail: fmt.Sprintf("more than %d files; leave some out with .assetsignore", l.Files)}
}

func expectDelim(d *json.Decoder, want json.Delim) error {
	tok, err := d.Token()
	if err != nil {
		return syntaxError(err)
	}
	if tok != want {
		return &ManifestError{Kind: ErrSyntax, Detail: fmt.Sprintf("must be one JSON object: found %v where %v was expected", tok, want)}
	}
	return nil
}

// syntaxError keeps errors of the reader apart from errors in what it read.
func syntaxError(err error) error {
	var syntax *json.SyntaxError
	var typ *json.UnmarshalTypeError
	if errors.As(err, &syntax) || errors.As(err, &typ) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return &ManifestError{Kind: ErrSyntax, Detail: "must be a JSON object of path → {hash, size}: " + err.Error()}
	}
	return fmt.Errorf("read asset manifest: %w", err)
}

// clip shortens outside text for an error message.
func clip(s string) string {
	const limit = 200
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "…"
}
