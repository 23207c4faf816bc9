package history

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"
)

type countSink struct{ pages int }

func (s *countSink) begin(uint32, uint32) error { return nil }
func (s *countSink) page(uint32, []byte) error  { s.pages++; return nil }

func someRecords(tb testing.TB) []byte {
	tb.Helper()
	var e recordEncoder
	var b []byte
	for id := TXID(2); id < 5; id++ {
		from := len(b)
		if err := e.begin(append(b, make([]byte, recordPrefix)...), header(id, id, time.UnixMilli(5), 512, 9)); err != nil {
			tb.Fatal(err)
		}
		for n := uint32(1); n < 4; n++ {
			if err := e.put(n, bytes.Repeat([]byte{byte(n), 7}, 256)); err != nil {
				tb.Fatal(err)
			}
		}
		b = e.end()
		setPrefix(b, from)
	}
	return b
}

// A segment of any content is read without a panic or an allocation of a claimed size,
// and what passes its checksum can be decoded.
func FuzzSegment(f *testing.F) {
	good := someRecords(f)
	f.Add(good)
	f.Add(good[:len(good)-3])
	f.Add(binary.BigEndian.AppendUint64(nil, maxRecord))
	f.Fuzz(func(t *testing.T, b []byte) {
		var ids []TXID
		end, err := eachRecord(bytes.NewReader(b), int64(len(b)), sound, func(r record) error {
			ids = append(ids, r.id)
			return nil
		})
		if err != nil || end > int64(len(b)) {
			t.Fatalf("ends at %d of %d: %v", end, len(b), err)
		}
		for i, id := range ids {
			if i > 0 && id != ids[i-1]+1 {
				return // each is whole, but they do not follow one another
			}
		}
		if len(ids) > 0 && ids[0] > 0 {
			var s countSink
			// An error is fine: pages may lie behind the end that the header gives.
			_ = decodeRecords(bytes.NewReader(b[:end]), ids[0], ids[len(ids)-1], &s)
		}
		_ = decodeRecords(bytes.NewReader(b), 1, 4, &countSink{})
		_ = decode(bytes.NewReader(b), 2, 2, &countSink{})
	})
}

// A log of any content is read up to its last whole transaction.
func FuzzLog(f *testing.F) {
	var b [walHeaderSize + frameHeaderSize + 512]byte
	binary.BigEndian.PutUint32(b[:], walMagic)
	binary.BigEndian.PutUint32(b[8:], 512)
	f.Add(b[:])
	f.Fuzz(func(t *testing.T, b []byte) {
		h, end, err := walEnd(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		if end > 0 && h.offset(end) > int64(len(b)) {
			t.Fatalf("%d frames in %d bytes", end, len(b))
		}
	})
}
