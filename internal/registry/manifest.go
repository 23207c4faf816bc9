package registry

import (
	"bytes"
	"encoding/json"
	"slices"
)

// Media types of manifests.
const (
	TypeManifest       = "application/vnd.oci.image.manifest.v1+json"
	TypeIndex          = "application/vnd.oci.image.index.v1+json"
	TypeDockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	TypeDockerList     = "application/vnd.docker.distribution.manifest.list.v2+json"
)

// Bounds of one manifest's content.
const (
	maxLayers    = 512
	maxManifests = 256
)

// Descriptor names content.
type Descriptor struct {
	MediaType string    `json:"mediaType"`
	Digest    string    `json:"digest"`
	Size      int64     `json:"size"`
	URLs      []string  `json:"urls,omitempty"`
	Platform  *Platform `json:"platform,omitempty"`
}

// Platform is what an image of an index runs on.
type Platform struct {
	Architecture string `json:"architecture"`
	OS           string `json:"os"`
	Variant      string `json:"variant,omitempty"`
}

// Content is what a manifest says: an image's config and layers, or an index's
// manifests.
type Content struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType"`
	Config        Descriptor   `json:"config"`
	Layers        []Descriptor `json:"layers"`
	Manifests     []Descriptor `json:"manifests"`
}

// IsIndex reports whether a media type is one of a list of images.
func IsIndex(mediaType string) bool { return mediaType == TypeIndex || mediaType == TypeDockerList }

// ParseManifest reads a manifest of a media type and checks its form, not whether
// what it names is there.
func ParseManifest(mediaType string, body []byte) (*Content, error) {
	if !slices.Contains([]string{TypeManifest, TypeIndex, TypeDockerManifest, TypeDockerList}, mediaType) {
		return nil, fail(CodeManifestInvalid, "manifests of the type %.100q are not taken; push an OCI image or index, or Docker's of schema 2", mediaType)
	}
	c := new(Content)
	d := json.NewDecoder(bytes.NewReader(body))
	if err := d.Decode(c); err != nil {
		return nil, &Error{Code: CodeManifestInvalid, Message: "the manifest is not JSON of the expected form", Err: err}
	}
	if d.More() {
		return nil, fail(CodeManifestInvalid, "something follows the manifest")
	}
	switch {
	case c.SchemaVersion != 2:
		return nil, fail(CodeManifestInvalid, "the manifest has schemaVersion %d, and only 2 is taken", c.SchemaVersion)
	case c.MediaType != "" && c.MediaType != mediaType:
		return nil, fail(CodeManifestInvalid, "the manifest says that it is %.100q, and was sent as %s", c.MediaType, mediaType)
	case IsIndex(mediaType) && (c.Config.Digest != "" || len(c.Layers) > 0):
		return nil, fail(CodeManifestInvalid, "an index has no config and no layers of its own")
	case !IsIndex(mediaType) && (c.Config.Digest == "" || len(c.Manifests) > 0):
		return nil, fail(CodeManifestInvalid, "an image has a config, and names no manifests")
	case len(c.Layers) > maxLayers:
		return nil, fail(CodeManifestInvalid, "the image has %d layers, and %d are allowed", len(c.Layers), maxLayers)
	case len(c.Manifests) > maxManifests:
		return nil, fail(CodeManifestInvalid, "the index has %d manifests, and %d are allowed", len(c.Manifests), maxManifests)
	}
	for _, part := range c.parts() {
		if _, err := ParseDigest(part.Digest); err != nil {
			return nil, fail(CodeManifestInvalid, "the manifest names %.80q, which is no digest", part.Digest)
		}
		if part.Size < 0 {
			return nil, fail(CodeManifestInvalid, "the manifest says that %s has %d bytes", part.Digest, part.Size)
		}
		if len(part.URLs) > 0 {
			return nil, fail(CodeManifestInvalid, "the layer %s is to be fetched from elsewhere (urls), which is not done here: push it", part.Digest)
		}
	}
	return c, nil
}

// parts returns all that the manifest names.
func (c *Content) parts() []Descriptor {
	if c.Config.Digest == "" {
		return c.Manifests
	}
	return append([]Descriptor{c.Config}, c.Layers...)
}
