package infer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"github.com/selvage-dev/selvage/internal/infer/kernels"
)

// maxConfig is many times what a configuration has.
const maxConfig = 4 << 20

// maxLabels is more than any classifier has.
const maxLabels = 100_000

// family is how a kind of model names its tensors and numbers its positions.
type family string

const (
	bert       family = "bert"
	roberta    family = "roberta"
	distilbert family = "distilbert"
)

// config is what config.json says of an encoder, in one spelling.
type config struct {
	family       family
	architecture string
	layers       int
	hidden       int
	heads        int
	intermediate int
	vocabulary   int
	positions    int
	// firstPosition is the number of the first token's position: RoBERTa
	// counts from behind the number of its padding token.
	firstPosition int
	types         int
	epsilon       float32
	labels        []string
}

// document is config.json. DistilBERT has names of its own for several things.
type document struct {
	ModelType     string            `json:"model_type"`
	Architectures []string          `json:"architectures"`
	Layers        int               `json:"num_hidden_layers"`
	NLayers       int               `json:"n_layers"`
	Hidden        int               `json:"hidden_size"`
	Dim           int               `json:"dim"`
	Heads         int               `json:"num_attention_heads"`
	NHeads        int               `json:"n_heads"`
	Intermediate  int               `json:"intermediate_size"`
	HiddenDim     int               `json:"hidden_dim"`
	Vocabulary    int               `json:"vocab_size"`
	Positions     int               `json:"max_position_embeddings"`
	Types         int               `json:"type_vocab_size"`
	Epsilon       float64           `json:"layer_norm_eps"`
	Act           string            `json:"hidden_act"`
	Activation    string            `json:"activation"`
	PositionType  string            `json:"position_embedding_type"`
	Pad           *int              `json:"pad_token_id"`
	Labels        map[string]string `json:"id2label"`
}

// readFile returns the file name in dir, if it has at most limit bytes.
func readFile(dir, name string, limit int64) ([]byte, error) {
	f, err := os.Open(filepath.Join(dir, name)) //nolint:gosec // below the folder that the caller names
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("%w: %s has more than %d bytes", errInvalid, name, limit)
	}
	return b, nil
}

// readConfig reads config.json in dir.
func readConfig(dir string) (*config, error) {
	b, err := readFile(dir, "config.json", maxConfig)
	if err != nil {
		return nil, err
	}
	return parseConfig(b)
}

func parseConfig(b []byte) (*config, error) {
	d := document{Epsilon: 1e-12, Types: 2}
	if err := json.Unmarshal(b, &d); err != nil {
		return nil, fmt.Errorf("%w: config.json: %w", errInvalid, err)
	}
	c := &config{
		layers: max(d.Layers, d.NLayers), hidden: max(d.Hidden, d.Dim), heads: max(d.Heads, d.NHeads),
		intermediate: max(d.Intermediate, d.HiddenDim), vocabulary: d.Vocabulary, positions: d.Positions,
		types: d.Types, epsilon: float32(d.Epsilon),
	}
	if len(d.Architectures) > 0 {
		c.architecture = d.Architectures[0]
	}
	act := d.Act
	switch d.ModelType {
	case "bert":
		c.family = bert
	case "roberta", "xlm-roberta", "camembert":
		c.family = roberta
		pad := 1
		if d.Pad != nil {
			pad = *d.Pad
		}
		c.firstPosition = pad + 1
	case "distilbert":
		c.family, c.types, c.epsilon, act = distilbert, 0, 1e-12, d.Activation
	default:
		return nil, fmt.Errorf("%w: model_type is %.50q; bert, roberta, xlm-roberta and distilbert can be run", errUnsupported, d.ModelType)
	}
	if act != "gelu" {
		return nil, fmt.Errorf("%w: the activation is %.50q; gelu can be run", errUnsupported, act)
	}
	if d.PositionType != "" && d.PositionType != "absolute" {
		return nil, fmt.Errorf("%w: position_embedding_type is %.50q; absolute can be run", errUnsupported, d.PositionType)
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	return c, c.setLabels(d.Labels)
}

// check bounds each number, so that nothing computed from them overflows.
func (c *config) check() error {
	for _, x := range []struct {
		name              string
		value, least, top int
	}{
		{"num_hidden_layers", c.layers, 1, 256},
		{"hidden_size", c.hidden, kernels.Cols, 16384},
		{"num_attention_heads", c.heads, 1, 512},
		{"intermediate_size", c.intermediate, kernels.Cols, 65536},
		{"vocab_size", c.vocabulary, 1, 4 << 20},
		{"max_position_embeddings", c.positions, 1, 1 << 20},
		{"type_vocab_size", c.types, 0, 256},
		{"pad_token_id", c.firstPosition, 0, c.positions - 1},
	} {
		if x.value < x.least || x.value > x.top {
			return fmt.Errorf("%w: config.json: %s is %d, not %d to %d", errInvalid, x.name, x.value, x.least, x.top)
		}
	}
	if c.epsilon < 0 || c.epsilon > 1 || c.epsilon != c.epsilon {
		return fmt.Errorf("%w: config.json: layer_norm_eps is %g", errInvalid, c.epsilon)
	}
	if c.hidden%c.heads != 0 {
		return fmt.Errorf("%w: config.json: %d heads do not divide hidden_size %d", errInvalid, c.heads, c.hidden)
	}
	if c.hidden%kernels.Cols != 0 || c.intermediate%kernels.Cols != 0 || c.head()%kernels.Cols != 0 {
		return fmt.Errorf("%w: hidden_size %d, intermediate_size %d and the size of a head, %d, are to be multiples of %d",
			errUnsupported, c.hidden, c.intermediate, c.head(), kernels.Cols)
	}
	return nil
}

// head is the number of channels of an attention head.
func (c *config) head() int { return c.hidden / c.heads }

// maxTokens is the longest sequence.
func (c *config) maxTokens() int { return c.positions - c.firstPosition }

func (c *config) setLabels(labels map[string]string) error {
	if len(labels) > maxLabels {
		return fmt.Errorf("%w: config.json has %d labels", errInvalid, len(labels))
	}
	c.labels = make([]string, len(labels))
	for k, v := range labels {
		i, err := strconv.Atoi(k)
		if err != nil || i < 0 || i >= len(labels) {
			return fmt.Errorf("%w: config.json has the label number %.20q among %d", errInvalid, k, len(labels))
		}
		c.labels[i] = v
	}
	return nil
}
