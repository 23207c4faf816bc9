package tokenizer

import (
	"encoding/binary"
	"testing"
)

// compile returns a precompiled_charsmap. Each node has a block of 256 units of
// its own, which is wasteful, and simple.
func compile(m map[string]string) []byte {
	var units []uint32
	units = append(units, make([]uint32, 512)...)
	next := uint32(256)
	blocks := map[string]uint32{"": 256}
	at := map[string]uint32{"": 0}
	units[0] = 256 << 10
	var texts []byte
	for key, to := range m {
		for i := range len(key) {
			parent, node := key[:i], key[:i+1]
			if _, ok := at[node]; ok {
				continue
			}
			next += 256
			units = append(units, make([]uint32, 256)...)
			p := blocks[parent] ^ uint32(key[i])
			at[node], blocks[node] = p, next
			units[p] = (p^next)<<10 | uint32(key[i])
		}
		units[at[key]] |= 1 << 8
		units[blocks[key]] = 1<<31 | uint32(len(texts))
		texts = append(append(texts, to...), 0)
	}
	b := binary.LittleEndian.AppendUint32(nil, uint32(4*len(units)))
	for _, u := range units {
		b = binary.LittleEndian.AppendUint32(b, u)
	}
	return append(b, texts...)
}

func TestCharsMap(t *testing.T) {
	m, err := parseCharsMap(compile(map[string]string{"ﬁ": "fi", "①": "1", "e\u0301": "é", "\t": " ", "\u200b": "", "\r\n": "\n"}))
	if err != nil {
		t.Fatal(err)
	}
	for in, want := range map[string]string{
		"ﬁn①e\u0301x\ty\u200bz": "fin1éx yz", "e": "e", "": "", "a\r\nb": "a\nb", "\xff①": "\xff1", "中": "中",
		"e\u0301\u0301\u0301": "e\u0301\u0301\u0301", // too long to be looked up as one
	} {
		if got := m.normalize(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

func FuzzCharsMap(f *testing.F) {
	f.Add(compile(map[string]string{"ﬁ": "fi", "e\u0301": "é"}), "ﬁe\u0301")
	f.Fuzz(func(_ *testing.T, b []byte, s string) {
		if m, err := parseCharsMap(b); err == nil {
			m.normalize(s)
		}
	})
}
