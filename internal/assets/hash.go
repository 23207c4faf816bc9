package assets

import (
	"encoding/base64"
	"encoding/hex"
	"io"

	"lukechampine.com/blake3"
)

// HashLen is the number of hex digits in the name of a content.
const HashLen = 32

// Hash returns the name that wrangler gives to a content: the first 32 hex digits of
// BLAKE3(base64(content) + ext), with ext the file's extension without its dot.
func Hash(content []byte, ext string) string {
	h := NewHasher()
	enc := base64.NewEncoder(base64.StdEncoding, h)
	_, _ = enc.Write(content) // A hash never fails to take bytes.
	_ = enc.Close()
	return h.Sum(ext)
}

// Hasher computes Hash over text that is base64 already, as uploads bring it.
type Hasher struct{ h *blake3.Hasher }

// NewHasher returns a Hasher to which nothing was written.
func NewHasher() *Hasher { return &Hasher{h: blake3.New(32, nil)} }

// Write adds base64 text. It never fails.
func (h *Hasher) Write(p []byte) (int, error) { return h.h.Write(p) }

// Sum returns the name of the content written so far if its file has the extension ext (no dot). It
// may be called again with another extension.
func (h *Hasher) Sum(ext string) string {
	c := *h.h // A copy, so that more may be written.
	_, _ = io.WriteString(&c, ext)
	return hex.EncodeToString(c.Sum(nil)[:HashLen/2])
}
