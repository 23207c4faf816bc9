package assets

// Manifest maps the path of each asset, unescaped and starting with "/", to its content.
type Manifest map[string]Entry

// Entry is the content of one asset.
type Entry struct {
	// Hash is the name wrangler gave the content: 32 hex digits, see [Hash].
	Hash string `json:"hash"`
	// Blob is the id of the content in the store.
	Blob string `json:"blob,omitempty"`
	// Size is the length of the content in bytes.
	Size int64 `json:"size"`
	// ContentType is the type to serve, "" for none.
	ContentType string `json:"content_type,omitempty"`
}
