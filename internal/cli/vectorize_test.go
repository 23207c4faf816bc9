package cli_test

import (
	"bytes"
	bin "encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestVectorize(t *testing.T) {
	p := start(t, t.TempDir())
	dir := t.TempDir()
	vec := func(stdin string, args ...string) result {
		t.Helper()
		return runWith(t, nil, stdin, append(append([]string{"vectorize"}, args...), "--data", p.data)...)
	}
	must := func(args ...string) string {
		t.Helper()
		r := vec("", args...)
		if r.code != 0 {
			t.Fatalf("vectorize %v: %d %s", args, r.code, r.stderr)
		}
		return r.stdout
	}
	file := func(name string, content []byte) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	must("create", "docs", "--dimensions", "2", "--metric", "euclidean", "--metadata-index", "year:number")
	oneLine(t, vec("", "create", "docs", "--preset", "@cf/baai/bge-base-en-v1.5"), 1, "duplicate_name", "3002")
	oneLine(t, vec("", "create", "x", "--dimensions", "2", "--metric", "cosine", "--metadata-index", "year"), 2, "PROPERTY:TYPE")
	if out := must("list"); !strings.Contains(out, "docs") || !strings.Contains(out, "euclidean") {
		t.Errorf("list:\n%s", out)
	}

	var lines bytes.Buffer
	for i := range 25 {
		fmt.Fprintf(&lines, `{"id":"d%02d","values":[%d,1],"metadata":{"year":%d},"namespace":"n%d"}`+"\n", i, i, 2000+i, i%2)
	}
	must("import", "docs", file("v.ndjson", lines.Bytes()), "--batch", "10")
	if out := must("info", "docs"); !strings.Contains(out, "25 vectors") || !strings.Contains(out, `"n0"  13`) || !strings.Contains(out, "year (number)") {
		t.Errorf("info:\n%s", out)
	}
	var found []struct {
		ID    string  `json:"id"`
		Score float64 `json:"score"`
	}
	if err := json.Unmarshal([]byte(must("query", "docs", "--vector", "3,1", "--top-k", "2", "--filter", `{"year":{"$gt":2003}}`, "--json")), &found); err != nil || len(found) != 2 || found[0].ID != "d04" || found[0].Score != 1 {
		t.Errorf("query: %+v, %v", found, err)
	}
	if out := must("query", "docs", "--vector-id", "d03", "--namespace", "n0", "--metadata", "all"); !strings.Contains(out, "d02") || !strings.Contains(out, `{"year":2002}`) {
		t.Errorf("query by id:\n%s", out)
	}
	if out := must("get", "docs", "d07"); !strings.Contains(out, `"values":[7,1]`) {
		t.Errorf("get:\n%s", out)
	}

	// An import that fails says how to go on, and going on is right.
	broken := strings.Replace(lines.String(), `"values":[17,1]`, `"values":[17]`, 1)
	r := vec("", "import", "docs", file("broken.ndjson", []byte(broken)), "--batch", "10")
	if r.code != 1 || !strings.Contains(r.stderr, "expected 2 dimensions") || !strings.Contains(r.stderr, "--skip 10") {
		t.Errorf("a broken import: %d %s", r.code, r.stderr)
	}
	if out := must("import", "docs", filepath.Join(dir, "v.ndjson"), "--skip", "20"); !strings.HasPrefix(out, "5 vectors") {
		t.Errorf("import --skip:\n%s", out)
	}

	// With a file for its progress the same command goes on.
	inPlace := strings.Replace(lines.String(), `"values":[17,1]`, `"values":[17]  `, 1)
	path, note := file("place.ndjson", []byte(inPlace)), filepath.Join(dir, "note")
	r = vec("", "import", "docs", path, "--batch", "10", "--progress", note)
	if r.code != 1 || !strings.Contains(r.stderr, "go on with the same command") {
		t.Errorf("a broken import that notes its progress: %d %s", r.code, r.stderr)
	}
	oneLine(t, vec("", "import", "other", path, "--progress", note), 1, "into docs", "remove it")
	file("place.ndjson", lines.Bytes())
	if out := must("import", "docs", path, "--progress", note, "--json"); !strings.Contains(out, `"vectors":15`) {
		t.Errorf("going on:\n%s", out)
	}
	if _, err := os.Stat(note); !os.IsNotExist(err) {
		t.Errorf("the note of the progress is still there: %v", err)
	}

	// Backup and restore.
	backup := filepath.Join(dir, "docs.backup")
	must("backup", "docs", backup)
	must("restore", backup, "--name", "again")
	if a, b := must("export", "docs"), must("export", "again"); sortedLines(a) != sortedLines(b) || strings.Count(a, "\n") != 25 {
		t.Errorf("restored:\n%s\nwant:\n%s", b, a)
	}
	oneLine(t, vec("", "restore", backup), 1, "duplicate_name")
	raw, err := os.ReadFile(backup)
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Replace(raw, []byte(`[7,1]`), []byte(`[8,1]`), 1)
	oneLine(t, vec("", "restore", file("flipped", flipped), "--name", "flipped"), 1, "checksum")
	oneLine(t, vec("", "restore", file("cut", raw[:len(raw)-90]), "--name", "cut"), 1, "not whole")
	if out := must("list"); strings.Contains(out, "flipped") || strings.Contains(out, "cut") {
		t.Errorf("a damaged backup made an index:\n%s", out)
	}

	if out := must("eval", "docs", "--sample", "7"); !strings.Contains(out, "recall   1.0000") || !strings.Contains(out, "2 namespaces") {
		t.Errorf("eval:\n%s", out)
	}
	if r := vec("n\n", "delete", "docs"); r.code != 1 || !strings.Contains(r.stderr, "25 vectors?") || !strings.Contains(r.stderr, "nothing was deleted") {
		t.Errorf("delete, answered with no: %d %s", r.code, r.stderr)
	}
	must("delete", "docs", "--yes")
	oneLine(t, vec("", "info", "docs"), 1, "vectorize.index.deleted", "3005")
}

func sortedLines(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		for j := i; j > 0 && lines[j] < lines[j-1]; j-- {
			lines[j], lines[j-1] = lines[j-1], lines[j]
		}
	}
	return strings.Join(lines, "\n")
}

// TestVectorizeFiles imports the formats that have no ids.
func TestVectorizeFiles(t *testing.T) {
	p := start(t, t.TempDir())
	dir := t.TempDir()
	must := func(args ...string) string {
		t.Helper()
		r := runWith(t, nil, "", append(append([]string{"vectorize"}, args...), "--data", p.data)...)
		if r.code != 0 {
			t.Fatalf("vectorize %v: %d %s", args, r.code, r.stderr)
		}
		return r.stdout
	}
	must("create", "x", "--dimensions", "2", "--metric", "dot-product")
	le := bin.LittleEndian
	values := []float32{1.5, -2, 0.25, 8}
	head := fmt.Sprintf("%-118s\n", "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }")
	numpy := append([]byte("\x93NUMPY\x01\x00"), byte(len(head)), 0)
	numpy = append(numpy, head...)
	numpy, _ = bin.Append(numpy, le, values)
	fvecs, _ := bin.Append(nil, le, int32(2))
	fvecs, _ = bin.Append(fvecs, le, values[:2])
	fvecs, _ = bin.Append(fvecs, le, int32(2))
	fvecs, _ = bin.Append(fvecs, le, values[2:])
	for name, content := range map[string][]byte{"v.npy": numpy, "v.fvecs": fvecs} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		must("import", "x", path, "--id-prefix", name+"-")
		if out := must("get", "x", name+"-0", name+"-1"); !strings.Contains(out, "[1.5,-2]") || !strings.Contains(out, "[0.25,8]") {
			t.Errorf("%s:\n%s", name, out)
		}
		if err := os.WriteFile(path, content[:len(content)-3], 0o600); err != nil {
			t.Fatal(err)
		}
		if r := runWith(t, nil, "", "vectorize", "import", "x", path, "--data", p.data); r.code != 1 || !strings.Contains(r.stderr, "breaks off") {
			t.Errorf("%s, cut off: %d %s", name, r.code, r.stderr)
		}
	}
}
