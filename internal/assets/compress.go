package assets

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/andybalholm/brotli"
	kgzip "github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// MinCompressSize is the size in bytes from which a compressible asset is served encoded. Below it
// the answer fits one packet either way.
const MinCompressSize = 1 << 10

// brotliQuality trades the last few percent for a tenth of the time that 11 takes: the work is done
// on the machine that serves.
const brotliQuality = 9

// zstdWindow is the largest window that browsers must accept (RFC 9659).
const zstdWindow = 8 << 20

// Encodings returns the names of the encodings that Compress makes, best first.
func Encodings() []string { return []string{"br", "zstd", "gzip"} }

// Compressible reports whether content of a type gets smaller by encoding, as text does.
func Compressible(contentType string) bool {
	media, _, _ := strings.Cut(contentType, ";")
	media = strings.ToLower(strings.TrimSpace(media))
	if strings.HasPrefix(media, "text/") || strings.HasSuffix(media, "+json") || strings.HasSuffix(media, "+xml") || strings.HasSuffix(media, "+text") {
		return true
	}
	switch media {
	case "application/javascript", "application/x-javascript", "application/ecmascript", "application/json",
		"application/manifest+json", "application/xml", "application/wasm", "application/graphql",
		"application/yaml", "application/toml", "application/x-ndjson", "application/sql", "application/rtf",
		"application/vnd.ms-fontobject", "application/x-font-ttf", "font/ttf", "font/otf", "font/collection",
		"image/bmp", "image/x-icon", "image/vnd.microsoft.icon":
		return true
	}
	return false
}

// Compress writes r to w encoded as br, zstd or gzip. It is meant to run once for a blob, in the
// background: it favours size over speed. It stops when ctx ends. The caller checks whether the
// result is smaller and keeps it only then.
func Compress(ctx context.Context, encoding string, r io.Reader, w io.Writer) error {
	enc, err := newEncoder(encoding, w)
	if err != nil {
		return err
	}
	if _, err = io.Copy(enc, &contextReader{done: ctx.Err, r: r}); err == nil {
		err = enc.Close()
	}
	if err != nil {
		return fmt.Errorf("compress asset as %s: %w", encoding, err)
	}
	return nil
}

func newEncoder(encoding string, w io.Writer) (io.WriteCloser, error) {
	switch encoding {
	case "br":
		return brotli.NewWriterLevel(w, brotliQuality), nil
	case "gzip":
		return kgzip.NewWriterLevel(w, gzip.BestCompression)
	case "zstd":
		return zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(zstdWindow))
	}
	return nil, fmt.Errorf("compress asset: encoding %q is not one of br, zstd, gzip", encoding)
}

// contextReader fails between reads once the context has ended.
type contextReader struct {
	done func() error
	r    io.Reader
}

func (c *contextReader) Read(p []byte) (int, error) {
	if err := c.done(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
