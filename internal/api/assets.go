package api

import (
	"errors"
	"io"
	"mime"
	"net/http"

	"github.com/selvage-dev/selvage/internal/api/form"
	"github.com/selvage-dev/selvage/internal/workers"
)

// maxAssetParts bounds the assets in one bulk request. The buckets that the service hands out are
// far smaller.
const maxAssetParts = 10_000

type sessionJSON struct {
	JWT     string     `json:"jwt"`
	Buckets [][]string `json:"buckets"`
}

func startAssetSession(c *call) (any, error) {
	var in struct {
		Manifest map[string]workers.ManifestEntry `json:"manifest"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	s, err := c.Workers.CreateAssetSession(c.ctx(), c.account(), c.script(), in.Manifest)
	if err != nil {
		return nil, err
	}
	return sessionJSON{JWT: s.JWT, Buckets: list(s.Buckets)}, nil
}

// uploadedJSON carries the completion token in the answer to the request that brought the last
// missing asset, and null before; wrangler keeps the last one that is not null.
type uploadedJSON struct {
	JWT *string `json:"jwt"`
}

func newUploadedJSON(token string) uploadedJSON {
	if token == "" {
		return uploadedJSON{}
	}
	return uploadedJSON{JWT: &token}
}

// uploadAssets takes a bucket of assets as a form: each part is named after the content's hash, has
// the type to serve it with, and holds its base64 text.
func uploadAssets(c *call) (any, error) {
	if encoded, err := boolParam(c.query(), "base64"); err != nil || !encoded {
		return nil, errf(codeBadRequest, "assets are uploaded as base64 text: the query must say base64=true")
	}
	parts, err := form.NewReader(c.r.Header.Get("Content-Type"), c.r.Body)
	if err != nil {
		return nil, assetFormError(err)
	}
	done := ""
	for n := 0; ; n++ {
		part, err := parts.Next()
		if errors.Is(err, io.EOF) {
			return newUploadedJSON(done), nil
		}
		if err != nil {
			return nil, assetFormError(err)
		}
		if n == maxAssetParts {
			return nil, errf(codeInvalidAsset, "the form holds more than %d assets", maxAssetParts)
		}
		token, err := c.Workers.UploadAsset(c.ctx(), c.account(), c.bearer, part.FormName(), servedType(part.Header.Get("Content-Type")), part, true)
		if err != nil {
			return nil, err
		}
		if token != "" {
			done = token
		}
	}
}

// assetFormError gives an error of the form its code.
func assetFormError(err error) error {
	var large *http.MaxBytesError
	var bad *form.Error
	if errors.As(err, &large) || !errors.As(err, &bad) {
		return err
	}
	return &apiError{Code: codeInvalidAsset, Message: bad.Message, Err: bad.Err}
}

// uploadAsset takes one asset as it is.
func uploadAsset(c *call) (any, error) {
	token, err := c.Workers.UploadAsset(c.ctx(), c.account(), c.bearer, c.params["hash"], servedType(c.r.Header.Get("Content-Type")), c.r.Body, false)
	if err != nil {
		return nil, err
	}
	return newUploadedJSON(token), nil
}

// servedType is the content type to serve an asset with. An uploader that must send one though it has
// none sends application/null.
func servedType(header string) string {
	if mediaType, _, err := mime.ParseMediaType(header); err == nil && mediaType == "application/null" {
		return ""
	}
	return header
}
