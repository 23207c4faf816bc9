package cli

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"testing"
)

// FuzzVectorFiles holds that a file of vectors is read or refused, that what is read of
// one without ids is JSON of a vector, and that reading ends.
func FuzzVectorFiles(f *testing.F) {
	head := fmt.Sprintf("%-118s\n", "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }")
	numpy := append([]byte("\x93NUMPY\x01\x00"), byte(len(head)), 0)
	numpy = append(append(numpy, head...), 0, 0, 128, 63, 0, 0, 0, 64)
	f.Add(".npy", numpy)
	f.Add(".npy", numpy[:len(numpy)-3])
	f.Add(".npy", bytes.Replace(numpy, []byte("<f4"), []byte("<f8"), 1))
	fvecs := binary.LittleEndian.AppendUint32(nil, 2)
	fvecs = append(fvecs, 0, 0, 128, 63, 0, 0, 0, 64)
	f.Add(".fvecs", fvecs)
	f.Add(".fvecs", []byte{255, 255, 255, 255})
	f.Add(".ndjson", []byte("{\"id\":\"a\",\"values\":[1]}\n\n{"))
	f.Fuzz(func(t *testing.T, ext string, raw []byte) {
		r, err := newVectorReader("file"+ext, bytes.NewReader(raw), "x-")
		if err != nil {
			return
		}
		for n := 0; ; n++ {
			line, err := r.next()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				return
			}
			if n > len(raw) {
				t.Fatalf("%d vectors in %d bytes", n, len(raw))
			}
			if _, text := r.(*lineReader); text {
				continue // the platform reads them
			}
			var v struct {
				ID     string    `json:"id"`
				Values []float32 `json:"values"`
			}
			if err := json.Unmarshal(line, &v); err != nil || v.ID != fmt.Sprint("x-", n) || len(v.Values) == 0 {
				t.Fatalf("vector %d is %q: %v", n, line, err)
			}
		}
	})
}
