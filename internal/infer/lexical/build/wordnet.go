package build

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Synset is one entry of the dictionary: words that mean the same.
type Synset struct {
	Key    string // the part of speech and the place in its file, "n00001740"
	Lemmas []string
	Gloss  string
	links  []link
}

// link points to another entry.
type link struct {
	kind string // WordNet's symbol, "@" for what is more general
	key  string
}

// Read reads the data files of WordNet (wndb(5WN)) in dir, ordered by key.
func Read(dir string) ([]*Synset, error) {
	var all []*Synset
	for _, f := range []struct{ name, pos string }{{"data.adj", "a"}, {"data.adv", "r"}, {"data.noun", "n"}, {"data.verb", "v"}} {
		of, err := readFile(filepath.Join(dir, f.name), f.pos)
		if err != nil {
			return nil, err
		}
		all = append(all, of...)
	}
	slices.SortFunc(all, func(a, b *Synset) int { return strings.Compare(a.Key, b.Key) })
	return all, nil
}

func readFile(name, pos string) ([]*Synset, error) {
	f, err := os.Open(name) //nolint:gosec // the caller names it
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	var out []*Synset
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for number := 1; lines.Scan(); number++ {
		if strings.HasPrefix(lines.Text(), " ") {
			continue // the licence
		}
		s, err := parseSynset(lines.Text(), pos)
		if err != nil {
			return nil, fmt.Errorf("%s, line %d: %w", name, number, err)
		}
		out = append(out, s)
	}
	return out, lines.Err()
}

// parseSynset reads a line: offset, file, type, the number of words in hexadecimal,
// words each with an identifier, the number of pointers, pointers of four fields, "|"
// and the explanation.
func parseSynset(line, pos string) (*Synset, error) {
	data, gloss, ok := strings.Cut(line, "|")
	f := strings.Fields(data)
	if !ok || len(f) < 6 {
		return nil, fmt.Errorf("%.40q is no entry", line)
	}
	s := &Synset{Key: pos + f[0], Gloss: strings.TrimSpace(gloss)}
	words, err := strconv.ParseUint(f[3], 16, 8)
	if err != nil || len(f) < 5+2*int(words) {
		return nil, fmt.Errorf("%q is no number of words", f[3])
	}
	for i := range int(words) {
		w, _, _ := strings.Cut(f[4+2*i], "(") // "(p)": where an adjective stands
		s.Lemmas = append(s.Lemmas, strings.ToLower(strings.ReplaceAll(w, "_", " ")))
	}
	f = f[4+2*words:]
	pointers, err := strconv.ParseUint(f[0], 10, 16)
	if err != nil || len(f) < 1+4*int(pointers) {
		return nil, fmt.Errorf("%q is no number of pointers", f[0])
	}
	for i := range int(pointers) {
		p := f[1+4*i:]
		to := p[2]
		if to == "s" {
			to = "a" // satellites of adjectives are in their file
		}
		s.links = append(s.links, link{p[0], to + p[1]})
	}
	return s, nil
}
