package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/selvage-dev/selvage/internal/infer"
	"github.com/selvage-dev/selvage/internal/infer/lexical"
	"github.com/selvage-dev/selvage/internal/infer/lexical/build"
)

// asked is how many explanations are left out and then asked for.
const asked = 1000

// measure makes a table without the explanations of some nouns, and looks each of these
// up among the nouns.
func measure(ctx context.Context, dict string, o build.Options) error {
	all, err := build.Read(dict)
	if err != nil {
		return err
	}
	chosen := choose(all)
	o.NoGloss = func(i int) bool { return slices.Contains(chosen, i) }
	table, err := build.Table(ctx, all, o)
	if err != nil {
		return err
	}
	t, err := lexical.Parse(string(table))
	if err != nil {
		return err
	}
	m := lexical.NewModel(t)
	var words, glosses []string
	for _, i := range chosen {
		word := all[i].Lemmas[0]
		words = append(words, word)
		gloss, _, _ := strings.Cut(all[i].Gloss, `; "`) // an example may have the word
		glosses = append(glosses, strings.ReplaceAll(strings.ToLower(gloss), word, " "))
	}
	documents, _, err := m.Embed(ctx, words, infer.Mean)
	if err != nil {
		return err
	}
	queries, _, err := m.Embed(ctx, glosses, infer.Mean)
	if err != nil {
		return err
	}
	first, ten, reciprocal := 0, 0, 0.0
	for i, q := range queries {
		rank := 1
		for j, d := range documents {
			if j != i && dot(q, d) >= dot(q, documents[i]) {
				rank++
			}
		}
		if rank == 1 {
			first++
		}
		if rank <= 10 {
			ten++
		}
		reciprocal += 1 / float64(rank)
	}
	n := float64(len(queries))
	fmt.Printf("%d words; a noun by an unseen explanation, among %d: first %.3f, among the first ten %.3f, mean reciprocal rank %.3f\n",
		t.Words(), len(queries), float64(first)/n, float64(ten)/n, reciprocal/n)
	return nil
}

// choose picks nouns of one word each.
func choose(all []*build.Synset) []int {
	var nouns []int
	for i, s := range all {
		if s.Key[0] == 'n' && !strings.Contains(s.Lemmas[0], " ") {
			nouns = append(nouns, i)
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	r.Shuffle(len(nouns), func(i, j int) { nouns[i], nouns[j] = nouns[j], nouns[i] })
	return nouns[:min(asked, len(nouns))]
}

func dot(a, b []float32) (sum float32) {
	for i := range a {
		sum += a[i] * b[i]
	}
	return sum
}
