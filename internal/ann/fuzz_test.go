package ann

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/selvage-dev/selvage/internal/fsx"
)

// FuzzSegment opens and searches files that nobody of ours wrote, though their
// checksums fit: a segment may come out of a backup from elsewhere. They are
// refused with a CorruptError, or searched without harm.
func FuzzSegment(f *testing.F) {
	c := Config{Dim: 4, Metric: Cosine}
	base, _ := clustered(c.Metric, c.Dim, graphMinimum, 0)
	path := filepath.Join(f.TempDir(), "segment")
	if err := Build(f.Context(), fsx.FS{}, path, c, base); err != nil {
		f.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	foot, reason := decodeFooter(whole[len(whole)-pageSize:], uint64(len(whole)))
	if reason != "" {
		f.Fatal(reason)
	}
	patch := func(at uint64, with uint32) []byte {
		return binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, uint32(at)), with)
	}
	last := uint64(len(whole)) - pageSize + 8
	for p := range foot.extents {
		f.Add(patch(foot.extents[p].offset, 0xffffffff))
		f.Add(patch(foot.extents[p].offset+8, 0x7fc00000))
	}
	for field := range uint64(6) {
		f.Add(patch(last+4*field, 0x00010000))
	}
	f.Fuzz(func(t *testing.T, patches []byte) {
		bad := slices.Clone(whole)
		for len(patches) >= 8 && len(patches) <= 256 {
			at := int(binary.LittleEndian.Uint32(patches)) % (len(bad) - 4)
			copy(bad[at:], patches[4:8])
			patches = patches[8:]
		}
		sign(bad)
		file := filepath.Join(t.TempDir(), "bad")
		if err := os.WriteFile(file, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		harmless(t, file, base)
	})
}

// sign makes the checksums of a segment fit as far as its parts can be found.
func sign(b []byte) {
	page := b[len(b)-pageSize:]
	fix := func() {
		binary.LittleEndian.PutUint32(page[pageSize-4:], crc32.Checksum(page[:pageSize-4], castagnoli))
	}
	fix()
	foot, reason := decodeFooter(page, uint64(len(b)))
	if reason != "" {
		return
	}
	part := func(p part) []byte { e := foot.extents[p]; return b[e.offset : e.offset+e.size] }
	vectors, sums := part(partVectors), part(partSums)
	for i := range int(foot.count) {
		size := 4 * int(foot.dim)
		binary.LittleEndian.PutUint32(sums[4*i:], crc32.Checksum(vectors[size*i:size*(i+1)], castagnoli))
	}
	for p := partSums; p < parts; p++ {
		foot.extents[p].sum = crc32.Checksum(part(p), castagnoli)
	}
	copy(page, foot.encode())
	fix()
}

// harmless opens and searches a file in every way.
func harmless(t *testing.T, file string, queries table) {
	t.Helper()
	var corrupt *CorruptError
	s, err := Open(file)
	if errors.As(err, &corrupt) {
		return
	}
	if err != nil {
		t.Fatalf("refused with %v, which is no CorruptError", err)
	}
	defer s.Close()
	half := NewBitmap(s.Len())
	half.SetRange(s.Len()/4, s.Len()*3/4)
	query := make([]float32, s.Config().Dim)
	copy(query, queries.row(1))
	query[0]++
	for _, o := range []SearchOptions{{K: 10}, {K: 10, Ef: 3000}, {K: 10, Exact: true}, {K: 10, Filter: half}, {K: 1, Deleted: half}} {
		got, err := s.Search(nil, query, o)
		if err != nil && !errors.As(err, &corrupt) {
			t.Fatalf("%+v: %v", o, err)
		}
		for _, c := range got {
			if int(c.Row) >= s.Len() || o.Filter != nil && !o.Filter.Has(c.Row) || o.Deleted.Has(c.Row) {
				t.Fatalf("%+v found row %d", o, c.Row)
			}
		}
		if norm, err := s.cfg.query(query); err == nil && len(s.graph.links) > 0 { // Search scans so few rows.
			sc := new(scratch)
			sc.scorer = scorer{metric: s.cfg.Metric, query: query, norm: norm}
			s.encodeQuery(sc)
			for _, r := range s.follow(sc, &o, s.n/2) {
				if int(r.row&^done) >= s.n {
					t.Fatalf("%+v: a walk met row %d", o, r.row&^done)
				}
			}
		}
	}
}
