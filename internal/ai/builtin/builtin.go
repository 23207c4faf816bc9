// Package builtin has the models that the binary carries, so that a platform without a
// network and without a download has them. They have names of their own, below
// @selvage/. Vectors that somebody stored are compared with new ones: what a name
// answers never changes; a better model gets a new name.
package builtin

import (
	_ "embed" // the tables
	"fmt"

	"github.com/selvage-dev/selvage/internal/infer/lexical"
)

// Embed is the model for embeddings: English words, from WordNet. "make model" makes its
// table.
const Embed = "@selvage/wordnet/embed-en-v1"

//go:embed wordnet-embed-en-v1.words
var embedTable string

// Architecture is that of all models here, in the catalogue.
const Architecture = "lexical"

// Has says whether the binary carries a model.
func Has(name string) bool { return name == Embed }

// Size is how many bytes a model has; 0 for one that is not here.
func Size(name string) int64 {
	if name != Embed {
		return 0
	}
	return int64(len(embedTable))
}

// Open opens a model. Its table stays in the program's file, and is read from there.
func Open(name string) (*lexical.Model, error) {
	if name != Embed {
		return nil, fmt.Errorf("the binary carries no model %s", name)
	}
	t, err := lexical.Parse(embedTable)
	if err != nil {
		return nil, err
	}
	return lexical.NewModel(t), nil
}
