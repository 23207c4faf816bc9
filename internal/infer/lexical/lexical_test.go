package lexical_test

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/selvage-dev/selvage/internal/infer"
	"github.com/selvage-dev/selvage/internal/infer/lexical"
)

// small is a table of three words in two dimensions.
func small() string {
	return string(lexical.Append(nil, []float32{0, 0}, []lexical.Entry{
		{Word: "box", Weight: 1, Vector: []float32{3, 4}}, {Word: "run", Weight: 0.5, Vector: []float32{0, 1}}, {Word: "try", Weight: 1, Vector: []float32{0, 0}},
	}))
}

func TestWords(t *testing.T) {
	t.Parallel()
	known := map[string]bool{"box": true, "run": true, "try": true, "glass": true, "bake": true, "church": true}
	for text, want := range map[string]string{
		"The boxes, running & tried!": "box run try",
		"the child's toys":            "child toys",
		"children went baking":        "child go bake",
		"GLASS churches":              "glass church",
		"it's 'quoted' O'Neil's":      "quoted o neil",
		"naïve CAFÉ 42 東京":            "naïve café 42 東京",
		"a of the":                    "",
		"":                            "",
		strings.Repeat("x", 100):      strings.Repeat("x", 64) + " " + strings.Repeat("x", 36),
	} {
		if got := strings.Join(lexical.Words(text, func(w string) bool { return known[w] }, 100), " "); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	if got := lexical.Words("one two three", func(string) bool { return false }, 2); len(got) != 2 {
		t.Errorf("two words at most: %q", got)
	}
}

func TestEmbed(t *testing.T) {
	t.Parallel()
	table, err := lexical.Parse(small())
	if err != nil {
		t.Fatal(err)
	}
	if table.Words() != 3 || !table.Has("run") || table.Has("ru") || table.Has("zzz") || table.Has("") {
		t.Error("words are not found, or others are")
	}
	m := lexical.NewModel(table)
	v, tokens, err := m.Embed(t.Context(), []string{"Boxes!", "nothing that is there", "?!", "try"}, infer.Mean)
	if err != nil || tokens != 4 {
		t.Fatal(tokens, err)
	}
	if math.Abs(float64(v[0][0])-0.6) > 0.01 || math.Abs(float64(v[0][1])-0.8) > 0.01 {
		t.Errorf("%v, want (0.6, 0.8)", v[0])
	}
	for i := range 3 {
		if n := math.Hypot(float64(v[i][0]), float64(v[i][1])); math.Abs(n-1) > 1e-5 {
			t.Errorf("text %d has the length %v", i, n)
		}
	}
	if !slices.Equal(v[3], []float32{0, 0}) {
		t.Errorf("a word without a direction: %v", v[3])
	}
	if _, _, err := m.Embed(t.Context(), []string{"box"}, infer.CLS); !errors.Is(err, lexical.ErrPooling) {
		t.Errorf("cls: %v", err)
	}
	if _, _, err := m.Classify(t.Context(), nil); !errors.Is(err, infer.ErrNoHead) {
		t.Errorf("classify: %v", err)
	}
	if _, _, err := m.Rerank(t.Context(), "", nil); !errors.Is(err, infer.ErrNoHead) {
		t.Errorf("rerank: %v", err)
	}
}

func TestDamagedTables(t *testing.T) {
	t.Parallel()
	whole := small()
	for i := range len(whole) {
		if _, err := lexical.Parse(whole[:i]); !errors.Is(err, lexical.ErrInvalid) {
			t.Errorf("cut to %d bytes: %v", i, err)
		}
	}
	for name, data := range map[string]string{
		"not sorted":      strings.Replace(whole, "box", "zox", 1),
		"a word too many": strings.Replace(whole, "box", "b\nx", 1),
		"a word too few":  strings.Replace(whole, "box\n", "boxy", 1),
	} {
		if _, err := lexical.Parse(data); !errors.Is(err, lexical.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzParse: whatever a table has, it is refused or can be used.
func FuzzParse(f *testing.F) {
	f.Add(small(), "the box")
	f.Add(strings.Replace(small(), "\x02", "\xff", 1), "run")
	f.Fuzz(func(t *testing.T, data, text string) {
		table, err := lexical.Parse(data)
		if err != nil {
			return
		}
		if v, _, err := lexical.NewModel(table).Embed(t.Context(), []string{text}, infer.Mean); err != nil || len(v[0]) != table.Dimensions() {
			t.Errorf("%v %v", v, err)
		}
	})
}
