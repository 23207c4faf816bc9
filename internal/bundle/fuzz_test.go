package bundle_test

import (
	"strconv"
	"testing"

	"github.com/selvage-dev/selvage/internal/bundle"
)

func itoa(n int) string { return strconv.Itoa(n) }

// FuzzTrace feeds a source map, which a project may bring, and a stack, which a
// worker wrote.
func FuzzTrace(f *testing.F) {
	f.Add("at index.js:1:2", `{"sources":["a.ts"],"mappings":"AAAA,CAAC"}`)
	f.Add("index.js:99999999999999999999:1", `{"sources":[],"mappings":";;;gggggggggggggB"}`)
	f.Fuzz(func(_ *testing.T, stack, text string) {
		bundle.Trace(stack, []bundle.Module{{Name: "index.js.map", Content: []byte(text)}})
	})
}
