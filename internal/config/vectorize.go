package config

// Vectorize bounds vector indexes and the calls to them. The defaults are the limits
// that the original documents, but for dimensions.
type Vectorize struct {
	MaxIndexes      int  // of the account
	MaxOpen         int  // indexes that stay open while nobody uses them
	Dimensions      int  // of an index
	TopK            int  // matches of a query
	TopKFull        int  // of one that returns values or all metadata
	GetIDs          int  // of one call
	DeleteIDs       int  // of one call
	MetadataSize    Size // of a vector
	MetadataIndexes int  // of an index
	Namespaces      int  // of an index
}

func defaultVectorize() Vectorize {
	return Vectorize{
		MaxIndexes: 50_000, MaxOpen: 64, Dimensions: maxDimensions, TopK: 100, TopKFull: 50, GetIDs: 20, DeleteIDs: 100,
		MetadataSize: 10 << 10, MetadataIndexes: 10, Namespaces: 50_000,
	}
}

// maxDimensions is what the engine can do.
const maxDimensions = 4096

func vectorizeOptions() []Option {
	number := func(key, doc, want string, field func(c *Config) *int, high int) Option {
		return Option{
			Key: "vectorize." + key, Doc: doc, Want: want,
			value: func(c *Config) any { return field(c) }, check: func(c *Config) bool { return between(*field(c), 1, high) },
		}
	}
	return []Option{
		number("max_indexes", "Vector indexes of the account.", "a number from 1 to 1000000", func(c *Config) *int { return &c.Vectorize.MaxIndexes }, 1_000_000),
		number("max_open", "Vector indexes that stay open while nobody uses them; the least recently used closes first.", "a number from 1 to 100000", func(c *Config) *int { return &c.Vectorize.MaxOpen }, 100_000),
		number("dimensions", "Dimensions of a vector index.", "a number from 1 to 4096", func(c *Config) *int { return &c.Vectorize.Dimensions }, maxDimensions),
		number("top_k", "Matches of one query of a vector index.", "a number from 1 to 10000", func(c *Config) *int { return &c.Vectorize.TopK }, 10_000),
		number("top_k_full", "Matches of one query that returns values or all metadata.", "a number from 1 to 10000", func(c *Config) *int { return &c.Vectorize.TopKFull }, 10_000),
		number("get_ids", "Vectors that one call gets by their ids.", "a number from 1 to 10000", func(c *Config) *int { return &c.Vectorize.GetIDs }, 10_000),
		number("delete_ids", "Vectors that one call deletes by their ids.", "a number from 1 to 10000", func(c *Config) *int { return &c.Vectorize.DeleteIDs }, 10_000),
		{
			Key: "vectorize.metadata_size", Doc: "The metadata of one vector, as JSON.", Want: "a size from 1KiB to 128KiB",
			value: func(c *Config) any { return &c.Vectorize.MetadataSize }, check: func(c *Config) bool { return c.Vectorize.MetadataSize >= 1<<10 && c.Vectorize.MetadataSize <= 128<<10 },
		},
		number("metadata_indexes", "Metadata indexes of one vector index.", "a number from 1 to 100", func(c *Config) *int { return &c.Vectorize.MetadataIndexes }, 100),
		number("namespaces", "Namespaces of one vector index.", "a number from 1 to 1000000", func(c *Config) *int { return &c.Vectorize.Namespaces }, 1_000_000),
	}
}
