package api

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/selvage-dev/selvage/internal/api/form"
	"github.com/selvage-dev/selvage/internal/pages"
)

// maxRuleFile bounds _headers, _redirects and _routes.json each, in bytes.
const maxRuleFile = 2 << 20

type hashesJSON struct {
	Hashes []string `json:"hashes"`
}

func checkPagesAssets(c *call) (any, error) {
	var in hashesJSON
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	missing, err := c.Pages.Missing(c.ctx(), c.bearer, in.Hashes)
	if err != nil {
		return nil, err
	}
	return list(missing), nil
}

// upsertPagesHashes has contents kept for the deployment that follows. Clients
// take its failure for a warning, so what is missing is said when that comes.
func upsertPagesHashes(c *call) (any, error) {
	var in hashesJSON
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	_, err := c.Pages.Missing(c.ctx(), c.bearer, in.Hashes)
	return nil, err
}

type pagesAssetJSON struct {
	Key      string `json:"key"`
	Value    string `json:"value"`
	Base64   bool   `json:"base64"`
	Metadata struct {
		ContentType string `json:"contentType"`
	} `json:"metadata"`
}

// uploadPagesAssets takes a list of contents, of which few at a time are in memory.
func uploadPagesAssets(c *call) (any, error) {
	u, err := c.Pages.Uploader(c.ctx(), c.bearer)
	if err != nil {
		return nil, err
	}
	defer u.Close()
	d := json.NewDecoder(c.r.Body)
	if tok, err := d.Token(); err != nil || tok != json.Delim('[') {
		return nil, pagesBodyError(err)
	}
	for n := 0; d.More(); n++ {
		if n == maxAssetParts {
			return nil, errf(pages.CodeInvalidAsset, "the list holds more than %d assets", maxAssetParts)
		}
		var a pagesAssetJSON
		if err := d.Decode(&a); err != nil {
			return nil, pagesBodyError(err)
		}
		if !a.Base64 {
			return nil, errf(pages.CodeInvalidAsset, "assets are uploaded as base64 text: each must say \"base64\": true")
		}
		if err := u.Put(a.Key, a.Metadata.ContentType, len(a.Value), pages.Encoded(a.Value)); err != nil {
			return nil, err
		}
	}
	if _, err := d.Token(); err != nil {
		return nil, pagesBodyError(err)
	}
	return nil, u.Commit(c.ctx())
}

func pagesBodyError(err error) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return err
	}
	return &apiError{Code: codeBadRequest, Message: "the body of the request is not a list of assets, or breaks off", Err: err}
}

// createPagesDeployment reads the form of a deployment. Nothing of it is held in
// memory but the manifest and the rule files.
func createPagesDeployment(c *call) (any, error) {
	parts, err := form.NewReader(c.r.Header.Get("Content-Type"), c.r.Body)
	if err != nil {
		return nil, pagesFormError(err)
	}
	q := &pages.DeployRequest{Source: source(c.r.UserAgent())}
	seen := make(map[string]bool)
	for {
		part, err := parts.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, pagesFormError(err)
		}
		name := part.FormName()
		if seen[name] {
			return nil, errf(codeBadRequest, "the form has two parts named %.64q", name)
		}
		seen[name] = true
		if err := c.readPagesPart(q, name, part); err != nil {
			return nil, err
		}
	}
	if !seen["manifest"] {
		return nil, errf(codeBadRequest, "the form has no part manifest")
	}
	return pagesResult(c.Pages.Deploy(c.ctx(), c.account(), c.project(), q))
}

func (c *call) readPagesPart(q *pages.DeployRequest, name string, r io.Reader) error {
	var err error
	text := func(limit int64) string {
		var b []byte
		if b, err = readPart(r, name, limit); err != nil {
			return ""
		}
		return string(b)
	}
	const short = 4 << 10
	switch name {
	case "manifest":
		var raw []byte
		if raw, err = readPart(r, name, manifestBody); err == nil && json.Unmarshal(raw, &q.Manifest) != nil {
			err = errf(pages.CodeInvalidManifest, "the manifest is not an object of path → hash")
		}
	case "branch":
		q.Commit.Branch = text(short)
	case "commit_hash":
		q.Commit.Hash = text(short)
	case "commit_message":
		q.Commit.Message = text(short)
	case "commit_dirty":
		q.Commit.Dirty, _ = strconv.ParseBool(text(short)) // anything else is no
	case "wrangler_config_hash":
		q.ConfigHash = text(short)
	case "_headers":
		q.Rules.Headers = text(maxRuleFile)
	case "_redirects":
		q.Rules.Redirects = text(maxRuleFile)
	case "_routes.json":
		q.Rules.Routes = text(maxRuleFile)
	case "_worker.bundle":
		q.Bundle, err = c.readBundle(r)
	case "pages_build_output_dir":
		q.Output = text(short)
	case "functions-filepath-routing-config.json":
		_ = text(maxRuleFile) // for a dashboard
	default:
		return errf(codeBadRequest, "the form has a part %.64q that this release does not know", name)
	}
	return err
}

func readPart(r io.Reader, name string, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	switch {
	case err != nil:
		return nil, &apiError{Code: codeBadRequest, Message: fmt.Sprintf("the part %.64q of the form breaks off", name), Err: err}
	case int64(len(b)) > limit:
		return nil, errf(codeBodyTooLarge, "the part %.64q of the form has more than %d bytes", name, limit)
	}
	return b, nil
}

// readBundle reads the code of Functions: a form inside of the form that says
// nowhere what its boundary is but in its first line.
func (c *call) readBundle(r io.Reader) (*pages.Bundle, error) {
	return parseBundle(c.ctx(), r, moduleSink{c.Workers}, form.Limits{
		Metadata: maxMetadata, Total: c.MaxScriptSize, SourceMaps: c.MaxSourceMaps, Parts: c.MaxModules + 1, Name: maxModuleName,
	})
}

func parseBundle(ctx context.Context, r io.Reader, sink form.Sink, limits form.Limits) (*pages.Bundle, error) {
	const longest = 256 // RFC 2046 allows 70
	br := bufio.NewReaderSize(r, longest)
	line, err := br.Peek(longest)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, uploadError(err)
	}
	boundary, ok := boundaryOf(line)
	if !ok {
		return nil, errf(codeInvalidScript, "_worker.bundle is no form: it does not begin with a boundary")
	}
	f, err := form.Parse(ctx, `multipart/form-data; boundary="`+boundary+`"`, br, sink, limits)
	if err != nil {
		return nil, uploadError(err)
	}
	b := &pages.Bundle{Metadata: f.Metadata}
	for _, p := range f.Parts {
		b.Modules = append(b.Modules, pages.Module{Name: p.Name, ContentType: p.MediaType, Blob: p.ID, Size: p.Size})
	}
	return b, nil
}

// boundaryOf finds the boundary of a form in its first line. It is one that can
// stand between quotes.
func boundaryOf(head []byte) (boundary string, ok bool) {
	first, _, whole := strings.Cut(string(head), "\n")
	boundary, dashes := strings.CutPrefix(strings.TrimRight(first, "\r"), "--")
	bad := func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }
	return boundary, whole && dashes && boundary != "" && !strings.ContainsFunc(boundary, bad)
}

func pagesFormError(err error) error {
	var large *http.MaxBytesError
	var bad *form.Error
	if errors.As(err, &large) || !errors.As(err, &bad) {
		return err
	}
	return &apiError{Code: codeBadRequest, Message: bad.Message, Err: bad.Err}
}
