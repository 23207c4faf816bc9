package vectorize

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/uuid"
)

// FuzzFilter holds that a filter is read or refused, and that what was read can be
// asked of any value.
func FuzzFilter(f *testing.F) {
	for _, s := range []string{`{"a":1}`, `{"a.b":{"$gt":"x","$lte":"y"}}`, `{"a":{"$in":[1,null,"x",true]}}`, `{"a":{"$nin":[]}}`, `{"a":{"b":1}}`} {
		f.Add([]byte(s))
	}
	limits := &Limits{}
	limits.setDefaults()
	values := []scalar{{}, {kind: number, num: 1}, {kind: text, str: "x"}, {kind: boolean, num: 1}}
	f.Fuzz(func(t *testing.T, raw []byte) {
		parsed, err := limits.parseFilter(raw)
		if err != nil {
			return
		}
		for i := range parsed {
			for _, v := range values {
				c := &parsed[i]
				if c.in != nil && c.not {
					opposite := *c
					opposite.not = false
					if c.matches(v) == opposite.matches(v) {
						t.Errorf("%s: %v satisfies a condition and its opposite", raw, v)
					}
				}
				c.matches(v)
			}
		}
	})
}

// FuzzRecord holds that records of the log are read or refused, and that what was
// read is written the same way.
func FuzzRecord(f *testing.F) {
	for _, m := range []mutation{
		{op: opUpsert, id: uuid.New(), seq: 7, time: time.UnixMilli(5).UTC(), vectors: []Vector{{ID: "a", Namespace: "n", Metadata: []byte(`{}`), Values: []float32{1, 2}}}},
		{op: opDelete, seq: 1, ids: []string{"a", "b"}},
		{op: opCreateIndex, seq: 2, metadata: MetadataIndex{Property: "p", Type: IndexNumber}},
	} {
		f.Add(m.append(nil))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		d := decoder{data: raw}
		m, err := d.mutation()
		if err != nil {
			return
		}
		if again := m.append(nil); !bytes.Equal(again, raw[:len(raw)-len(d.data)]) {
			t.Errorf("%x is written as %x", raw, again)
		}
	})
}

// FuzzCursor holds that a cursor is read or refused, and that one that was made is read.
func FuzzCursor(f *testing.F) {
	index, now := uuid.New(), time.Unix(1_800_000_000, 0)
	f.Add(makeCursor(index, "last", now.Add(time.Hour)), "id")
	f.Add("", "")
	f.Fuzz(func(t *testing.T, cursor, last string) {
		_, _ = parseCursor(index, cursor, now)
		if got, err := parseCursor(index, makeCursor(index, last, now), now); err != nil || got != last {
			t.Errorf("%q comes back as %q: %v", last, got, err)
		}
		if _, err := parseCursor(uuid.New(), makeCursor(index, last, now), now); err == nil {
			t.Error("a cursor is good for another index")
		}
		if _, err := parseCursor(index, makeCursor(index, last, now.Add(-time.Second)), now); err == nil {
			t.Error("a cursor does not expire")
		}
	})
}
