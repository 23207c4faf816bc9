package vectorize

import (
	"maps"
	"slices"
	"strings"
)

// presets returns the configurations that fit a model's embeddings.
func presets() map[string]Config {
	return map[string]Config{
		"@cf/baai/bge-small-en-v1.5":     {384, Cosine},
		"@cf/baai/bge-base-en-v1.5":      {768, Cosine},
		"@cf/baai/bge-large-en-v1.5":     {1024, Cosine},
		"openai/text-embedding-ada-002":  {1536, Cosine},
		"cohere/embed-multilingual-v2.0": {768, Cosine},
	}
}

func presetConfig(name string) (Config, error) {
	c, ok := presets()[name]
	if !ok {
		return Config{}, Fail(CodeBody, "Failed to parse the request body as JSON: config.preset: %q is not one of %s", clip(name), strings.Join(slices.Sorted(maps.Keys(presets())), ", "))
	}
	return c, nil
}
