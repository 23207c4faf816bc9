package modelstore

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/selvage-dev/selvage/internal/ai/catalogue"
	"github.com/selvage-dev/selvage/internal/ai/fault"
	"github.com/selvage-dev/selvage/internal/infer/gguf"
)

// inspect reads what a model's config.json says of it, and its kind unless that is known.
func (m *Model) inspect(dir string) error {
	kind, architecture, err := kindIn(dir)
	if err != nil {
		return err
	}
	m.Architecture = architecture
	if m.Kind == "" {
		m.Kind = kind
	}
	if m.Kind == "" {
		return fault.New(fault.CodeModelBroken, "What the model %s is for cannot be told from its files. Say it with --task.", m.Name)
	}
	return nil
}

func kindIn(dir string) (kind catalogue.Kind, architecture string, err error) {
	const most = 1 << 20
	name := filepath.Join(dir, "config.json")
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return kindOfGGUF(dir)
	case err != nil:
		return "", "", fmt.Errorf("modelstore: %w", err)
	case info.Size() > most:
		return "", "", fault.New(fault.CodeModelBroken, "The model's config.json has %d bytes; at most %d are read", info.Size(), most)
	}
	raw, err := os.ReadFile(name) //nolint:gosec // a file of the store
	if err != nil {
		return "", "", fmt.Errorf("modelstore: %w", err)
	}
	kind, architecture = kindOf(raw)
	return kind, architecture, nil
}

// kindOfGGUF is kindIn for a folder with a GGUF file; those are of models that write text.
func kindOfGGUF(dir string) (kind catalogue.Kind, architecture string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", "", fmt.Errorf("modelstore: %w", err)
	}
	for _, e := range entries {
		if !isGGUF(e.Name()) {
			continue
		}
		f, err := gguf.Open(filepath.Join(dir, e.Name()))
		if err != nil {
			return "", "", fault.Wrap(err, fault.CodeModelBroken, "The model's file %.100s is no GGUF file that can be read: %v", e.Name(), err)
		}
		architecture, err = f.String("general.architecture", "")
		return catalogue.Generation, architecture, errors.Join(err, f.Close())
	}
	return "", "", nil
}

func isGGUF(name string) bool { return strings.EqualFold(filepath.Ext(name), ".gguf") }

// kindOf guesses from a config.json what a model takes and returns.
func kindOf(config []byte) (kind catalogue.Kind, architecture string) {
	var c struct {
		Type          string            `json:"model_type"`
		Architectures []string          `json:"architectures"`
		Labels        map[string]string `json:"id2label"`
		NumLabels     int               `json:"num_labels"`
	}
	if json.Unmarshal(config, &c) != nil || len(c.Architectures) == 0 {
		return "", c.Type
	}
	switch name := c.Architectures[0]; {
	case strings.HasSuffix(name, "ForSequenceClassification") && (len(c.Labels) == 1 || c.NumLabels == 1):
		return catalogue.Reranking, c.Type
	case strings.HasSuffix(name, "ForSequenceClassification"):
		return catalogue.Classification, c.Type
	case strings.HasSuffix(name, "ForCausalLM"):
		return catalogue.Generation, c.Type
	}
	return catalogue.Embeddings, c.Type
}
