package vectorize

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"

	"github.com/selvage-dev/selvage/internal/ann"
	"github.com/selvage-dev/selvage/internal/fsx"
)

// A file of dead rows is "selvdead" 8 · rows 4 each, ascending · checksum of all
// before 4.
const deadMagic = "selvdead"

func deadName(id uint64) string { return fmt.Sprintf("%012d.dead", id) }

func writeDead(fs fsx.FS, dir string, id uint64, dead *ann.Bitmap) error {
	out := make([]byte, 0, len(deadMagic)+4*dead.Count()+4)
	out = append(out, deadMagic...)
	for row := range dead.Rows() {
		out = binary.LittleEndian.AppendUint32(out, row)
	}
	out = binary.LittleEndian.AppendUint32(out, checksum(out))
	return fs.WriteFile(filepath.Join(dir, deadName(id)), out, 0o600)
}

// readDead reads which of a segment's rows are gone.
func readDead(dir string, id uint64, rows int) (*ann.Bitmap, error) {
	path := filepath.Join(dir, deadName(id))
	raw, err := os.ReadFile(path) //nolint:gosec // a path of ours
	if err != nil {
		return nil, &CorruptError{Path: path, Reason: err.Error()}
	}
	n := len(raw) - 4
	if n < len(deadMagic) || string(raw[:len(deadMagic)]) != deadMagic || n%4 != 0 || checksum(raw[:n]) != binary.LittleEndian.Uint32(raw[n:]) {
		return nil, &CorruptError{Path: path, Reason: "the checksum does not match"}
	}
	out := ann.NewBitmap(rows)
	for at := len(deadMagic); at < n; at += 4 {
		row := binary.LittleEndian.Uint32(raw[at:])
		if int(row) >= rows {
			return nil, &CorruptError{Path: path, Offset: int64(at), Reason: "a row is not of the segment"}
		}
		out.Set(row)
	}
	return out, nil
}
