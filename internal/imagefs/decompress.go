package imagefs

import (
	"bufio"
	"bytes"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// maxWindow bounds the memory that a zstd frame may ask for, in bytes.
const maxWindow = 128 << 20

// decompress returns the tar stream of a layer, told by its first bytes: media
// types are not always right.
func decompress(r io.Reader) (io.Reader, func(), error) {
	br := bufio.NewReaderSize(r, 256<<10) //nolint:mnd // large enough that system calls do not count
	head, err := br.Peek(4)
	if err != nil && len(head) < 2 {
		return nil, nil, &LayerError{Text: "the layer is empty", Err: err}
	}
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(br)
		if err != nil {
			return nil, nil, &LayerError{Text: "the layer is not whole", Err: err}
		}
		return z, func() { _ = z.Close() }, nil
	case bytes.Equal(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(br, zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, nil, &LayerError{Text: "the layer is not whole", Err: err}
		}
		return z, z.Close, nil
	}
	return br, func() {}, nil
}
