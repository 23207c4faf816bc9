package build_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/selvage-dev/selvage/internal/infer"
	"github.com/selvage-dev/selvage/internal/infer/lexical"
	"github.com/selvage-dev/selvage/internal/infer/lexical/build"
)

// dictionary writes entries about two things that have nothing in common.
func dictionary(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	var nouns strings.Builder
	nouns.WriteString("  1 a licence\n")
	for i := range 60 {
		words, gloss := "ship 0 boat 0", "a vessel that sails the sea, with sailors and a mast"
		if i%2 == 1 {
			words, gloss = "tree 0 oak 0", "a plant of the forest, with leaves and branches"
		}
		fmt.Fprintf(&nouns, "%08d 03 n 02 %s 001 @ %08d n 0000 | %s; \"example %d\"  \n", i, words, (i+2)%60, gloss, i)
	}
	for name, text := range map[string]string{
		"data.noun": nouns.String(), "data.verb": "", "data.adv": "",
		"data.adj": "00000001 00 s 01 green(a) 0 000 | like a tree or a plant of the forest\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestTable(t *testing.T) {
	all, err := build.Read(dictionary(t))
	if err != nil || len(all) != 61 || all[0].Key != "a00000001" || all[0].Lemmas[0] != "green" || all[1].Lemmas[1] != "boat" {
		t.Fatalf("%d entries, %v", len(all), err)
	}
	o := build.Options{Dimensions: 4, Least: 1, NoGloss: func(i int) bool { return i == 0 }}
	table, err := build.Table(t.Context(), all, o)
	if err != nil {
		t.Fatal(err)
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(3))
	again, err := build.Table(t.Context(), all, o)
	if err != nil || !bytes.Equal(table, again) {
		t.Errorf("the same entries give other bytes, %v", err)
	}
	parsed, err := lexical.Parse(string(table))
	if err != nil {
		t.Fatal(err)
	}
	v, _, err := lexical.NewModel(parsed).Embed(t.Context(), []string{"boat", "sailors", "forest"}, infer.Mean)
	if err != nil {
		t.Fatal(err)
	}
	var near, far float32
	for k := range v[0] {
		near, far = near+v[0][k]*v[1][k], far+v[0][k]*v[2][k]
	}
	if near < 0.8 || far > 0.2 {
		t.Errorf("a boat is %.2f to sailors and %.2f to the forest", near, far)
	}
}

func TestWhatIsNoDictionary(t *testing.T) {
	t.Parallel()
	if _, err := build.Read(t.TempDir()); err == nil {
		t.Error("read an empty folder")
	}
	for _, line := range []string{"x", "1 2 n 01 a 0 000", "1 2 n zz a 0 000 | g", "1 2 n 09 a 0 000 | g", "1 2 n 01 a 0 x | g", "1 2 n 01 a 0 002 @ 1 n 0000 | g"} {
		dir := dictionary(t)
		if err := os.WriteFile(filepath.Join(dir, "data.verb"), []byte(line), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := build.Read(dir); err == nil || !strings.Contains(err.Error(), "line 1") {
			t.Errorf("%q: %v", line, err)
		}
	}
}
