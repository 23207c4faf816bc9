package assets_test

import (
	"encoding/base64"
	"io"
	"strings"
	"testing"

	"github.com/selvage-dev/selvage/internal/assets"
)

// The wanted values were computed with the library that wrangler uses (blake3-wasm).
func TestHash(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, content, ext, want string }{
		{"text", "hello\n", "txt", "56638d01375d9d28c49e281774cfd32f"},
		{"empty", "", "", "af1349b9f5f9a1a6a0404dea36dcc949"},
		{"html", "<h1>x</h1>", "html", "da31cc9fc4cbb1ac2bf0f7ecd4226f10"},
		{"large", strings.Repeat("a", 100_000), "js", "fddb9ec73d0327e88e93dddc08911ee3"},
	} {
		if got := assets.Hash([]byte(c.content), c.ext); got != c.want {
			t.Errorf("%s: Hash = %s, want %s", c.name, got, c.want)
		}
		h := assets.NewHasher()
		if _, err := io.WriteString(h, base64.StdEncoding.EncodeToString([]byte(c.content))); err != nil {
			t.Fatal(err)
		}
		if other := h.Sum("other"); other == c.want || !assets.IsHash(other) {
			t.Errorf("%s: Sum with another extension = %s", c.name, other)
		}
		if got := h.Sum(c.ext); got != c.want {
			t.Errorf("%s: Sum = %s, want %s", c.name, got, c.want)
		}
	}
}
