package infer

import "fmt"

// names is what a family calls its tensors. Names have ".weight" and ".bias"
// added.
type names struct {
	// prefix stands before all that is not of the head, where the file has a head.
	prefix                      string
	words, positions, types, ln string
	query, key, value, output   string
	attentionNorm               string
	up, down, outputNorm        string
}

func (f family) names() names {
	if f == distilbert {
		return names{
			prefix: "distilbert.",
			words:  "embeddings.word_embeddings", positions: "embeddings.position_embeddings", ln: "embeddings.LayerNorm",
			query: "transformer.layer.%d.attention.q_lin", key: "transformer.layer.%d.attention.k_lin",
			value: "transformer.layer.%d.attention.v_lin", output: "transformer.layer.%d.attention.out_lin",
			attentionNorm: "transformer.layer.%d.sa_layer_norm",
			up:            "transformer.layer.%d.ffn.lin1", down: "transformer.layer.%d.ffn.lin2",
			outputNorm: "transformer.layer.%d.output_layer_norm",
		}
	}
	return names{
		prefix: string(f) + ".",
		words:  "embeddings.word_embeddings", positions: "embeddings.position_embeddings",
		types: "embeddings.token_type_embeddings", ln: "embeddings.LayerNorm",
		query: "encoder.layer.%d.attention.self.query", key: "encoder.layer.%d.attention.self.key",
		value: "encoder.layer.%d.attention.self.value", output: "encoder.layer.%d.attention.output.dense",
		attentionNorm: "encoder.layer.%d.attention.output.LayerNorm",
		up:            "encoder.layer.%d.intermediate.dense", down: "encoder.layer.%d.output.dense",
		outputNorm: "encoder.layer.%d.output.LayerNorm",
	}
}

// of returns the name for a layer.
func of(format string, layer int) string { return fmt.Sprintf(format, layer) }
