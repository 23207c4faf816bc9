package history

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/superfly/ltx"
)

// What the record encoder makes is what the library makes, also when it is used again.
func TestRecordEncoderIsTheLibrarys(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(1, 2))
	var e recordEncoder
	var got []byte
	for i := range 60 {
		pageSize := uint32(512) << rnd.IntN(8)
		commit := uint32(1 + rnd.IntN(300))
		h := header(TXID(i+2), TXID(i+2), time.UnixMilli(int64(i)), pageSize, commit)
		h.WALOffset, h.WALSize, h.WALSalt1, h.WALSalt2 = 32, 4120, rnd.Uint32(), rnd.Uint32()
		var want bytes.Buffer
		lib, err := newEncoder(&want, h)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got[:0], "in front"...)
		if err := e.begin(got, h); err != nil {
			t.Fatal(err)
		}
		for pgno := uint32(1 + rnd.IntN(3)); pgno <= commit+2; pgno += uint32(1 + rnd.IntN(40)) {
			page := make([]byte, pageSize)
			for k := range page[:rnd.IntN(len(page)+1)] {
				page[k] = byte(rnd.IntN(1 + rnd.IntN(256)))
			}
			if err := lib.put(pgno, page); err != nil {
				t.Fatal(err)
			}
			if err := e.put(pgno, page); err != nil {
				t.Fatal(err)
			}
		}
		if err := lib.end(); err != nil {
			t.Fatal(err)
		}
		got = e.end()
		if after, ok := bytes.CutPrefix(got, []byte("in front")); !ok || !bytes.Equal(after, want.Bytes()) {
			t.Fatalf("file %d (pages of %d) differs from the library's: %d and %d bytes", i, pageSize, len(got), want.Len())
		}
	}
}

func TestRecordEncoderRefuses(t *testing.T) {
	t.Parallel()
	var e recordEncoder
	if err := e.begin(nil, ltx.Header{}); err == nil {
		t.Error("an empty header was taken")
	}
	if err := e.begin(nil, header(2, 2, time.UnixMilli(1), 512, 9)); err != nil {
		t.Fatal(err)
	}
	page := make([]byte, 512)
	if err := e.put(3, page); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{"again": e.put(3, page), "backwards": e.put(2, page), "short": e.put(4, page[1:])} {
		if err == nil {
			t.Errorf("%s: the page was taken", name)
		}
	}
}

func BenchmarkRecordEncoder(b *testing.B) {
	h := header(2, 2, time.UnixMilli(1), 4096, 900)
	page := make([]byte, 4096)
	for k := range page[:3000] {
		page[k] = "row of text, 12345 ... 678"[k%26] + byte(k/200)
	}
	var e recordEncoder
	var out []byte
	b.SetBytes(2 * 4096)
	b.ReportAllocs()
	for b.Loop() {
		if err := e.begin(out[:0], h); err != nil {
			b.Fatal(err)
		}
		for _, n := range []uint32{1, 800} {
			if err := e.put(n, page); err != nil {
				b.Fatal(err)
			}
		}
		out = e.end()
	}
}
