package modelstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/selvage-dev/selvage/internal/ai/fault"
)

// Bounds of what a hub says of a repository.
const (
	maxListing = 4 << 20
	maxFiles   = 500
)

// Plan is what a pull would bring.
type Plan struct {
	Repository string
	Revision   string // the commit, which pins every file
	Size       int64
	Files      []File
}

var (
	repositoryPattern = regexp.MustCompile(`^[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}$`)
	commitPattern     = regexp.MustCompile(`^[0-9a-f]{40,64}$`)
	digestPattern     = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// wanted says which files of a repository a model is made of. Weights in other formats,
// above all pickles, which are programs, are left where they are.
func wanted(path string) bool {
	switch path {
	case "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
		"modules.json", "1_Pooling/config.json", "model.safetensors.index.json", "chat_template.jinja", "LICENSE", "LICENSE.txt":
		return true
	}
	return validPath(path) && strings.HasSuffix(path, ".safetensors") && strings.HasPrefix(path, "model") && !strings.Contains(path, "/")
}

// Plan asks the hub what a repository has, at a revision ("" for the newest).
func (s *Store) Plan(ctx context.Context, repository, revision string) (*Plan, error) {
	repository, one := splitRepository(repository)
	if !repositoryPattern.MatchString(repository) || one != "" && (!validPath(one) || !isGGUF(one)) {
		return nil, fault.New(fault.CodeBadInput, "%.100q is no repository of the hub; want OWNER/NAME, or OWNER/NAME/FILE.gguf", repository)
	}
	if revision == "" {
		revision = "main"
	}
	res, err := s.get(ctx, "/api/models/"+repository+"/revision/"+url.PathEscape(revision)+"?blobs=true", 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	var listing struct {
		SHA      string `json:"sha"`
		Siblings []struct {
			Path string `json:"rfilename"`
			Size int64  `json:"size"`
			LFS  struct {
				SHA256 string `json:"sha256"`
				Size   int64  `json:"size"`
			} `json:"lfs"`
		} `json:"siblings"`
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, maxListing)).Decode(&listing); err != nil || !commitPattern.MatchString(listing.SHA) {
		return nil, fault.Wrap(err, fault.CodeDownload, "The hub's list of the files of %s cannot be read", repository)
	}
	p := &Plan{Repository: repository, Revision: listing.SHA}
	for _, f := range listing.Siblings {
		if !wanted(f.Path) && (!isGGUF(f.Path) || !validPath(f.Path)) {
			continue
		}
		file := File{Path: f.Path, Size: f.Size, SHA256: f.LFS.SHA256}
		if file.SHA256 != "" {
			file.Size = f.LFS.Size
		}
		if file.Size < 0 || file.Size > 1<<50 || file.SHA256 != "" && !digestPattern.MatchString(file.SHA256) || len(p.Files) == maxFiles {
			return nil, fault.New(fault.CodeDownload, "The hub's list of the files of %s makes no sense at %.100q", repository, f.Path)
		}
		p.Files, p.Size = append(p.Files, file), p.Size+file.Size
	}
	slices.SortFunc(p.Files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	if err := p.choose(one); err != nil {
		return nil, err
	}
	return p, p.check()
}

// splitRepository takes OWNER/NAME/FILE apart.
func splitRepository(s string) (repository, file string) {
	const parts = 3
	if p := strings.SplitN(s, "/", parts); len(p) == parts {
		return p[0] + "/" + p[1], p[2]
	}
	return s, ""
}

// choose keeps of a repository with GGUF files the one that is named, or the only one, or
// that with the usual weights of 4 bits. Beside safetensors they are left where they are
// unless one is named.
func (p *Plan) choose(named string) error {
	var found []string
	safe := false
	for _, f := range p.Files {
		switch {
		case isGGUF(f.Path):
			found = append(found, f.Path)
		case strings.HasSuffix(f.Path, ".safetensors"):
			safe = true
		}
	}
	usual := slices.DeleteFunc(slices.Clone(found), func(s string) bool { return !strings.Contains(strings.ToUpper(s), "Q4_K_M") })
	switch {
	case named != "" && !slices.Contains(found, named):
		return fault.New(fault.CodeBadInput, "The repository %s has no file %.100q", p.Repository, named)
	case named != "":
	case safe || len(found) == 0:
	case len(found) == 1:
		named = found[0]
	case len(usual) == 1:
		named = usual[0]
	default:
		return fault.New(fault.CodeBadInput, "The repository %s has several GGUF files: %s. Name one: %s/FILE.gguf", p.Repository, strings.Join(found, ", "), p.Repository)
	}
	p.Size = 0
	p.Files = slices.DeleteFunc(p.Files, func(f File) bool {
		if named == "" {
			return isGGUF(f.Path)
		}
		return f.Path != named && !strings.HasPrefix(f.Path, "LICENSE")
	})
	for _, f := range p.Files {
		p.Size += f.Size
	}
	return nil
}

// check refuses a repository that has not what a model needs.
func (p *Plan) check() error {
	has := func(match func(string) bool) bool {
		return slices.ContainsFunc(p.Files, func(f File) bool { return match(f.Path) })
	}
	if has(isGGUF) { // it has all that is needed
		return nil
	}
	for _, need := range []struct {
		what  string
		match func(string) bool
	}{
		{"config.json", func(s string) bool { return s == "config.json" }},
		{"tokenizer.json", func(s string) bool { return s == "tokenizer.json" }},
		{"weights as model*.safetensors", func(s string) bool { return strings.HasSuffix(s, ".safetensors") }},
	} {
		if !has(need.match) {
			return fault.New(fault.CodeModelBroken, "The repository %s has no %s, so it cannot be used here. Convert it, and add it with \"selvage ai add NAME --from DIR\".", p.Repository, need.what)
		}
	}
	return nil
}

// hubTimeout bounds the wait for a hub to begin an answer.
const hubTimeout = 30 * time.Second

func newHubClient() *http.Client {
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, ResponseHeaderTimeout: hubTimeout, TLSHandshakeTimeout: hubTimeout, ForceAttemptHTTP2: true}
	return &http.Client{Transport: transport} // what is redirected to another host loses the token
}

// get asks the hubs in turn until one has the path. From is the first byte that is wanted.
func (s *Store) get(ctx context.Context, path string, from int64) (*http.Response, error) {
	var failed []error
	for i, hub := range s.o.Hubs {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(hub, "/")+path, nil)
		if err != nil {
			return nil, fault.Wrap(err, fault.CodeDownload, "The hub's address cannot be used")
		}
		req.Header.Set("User-Agent", "selvage")
		if i == 0 && s.o.Token != "" {
			req.Header.Set("Authorization", "Bearer "+s.o.Token)
		}
		if from > 0 {
			req.Header.Set("Range", fmt.Sprintf("bytes=%d-", from))
		}
		res, err := s.client.Do(req)
		switch {
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case err != nil:
			failed = append(failed, fault.Wrap(err, fault.CodeDownload, "The hub %s cannot be reached", req.URL.Host))
			continue
		case res.StatusCode == http.StatusOK || res.StatusCode == http.StatusPartialContent:
			return res, nil
		}
		_ = res.Body.Close()
		failed = append(failed, refusal(req.URL.Host, res.StatusCode, s.o.Token != ""))
	}
	if len(failed) == 0 {
		return nil, fault.New(fault.CodeDownload, "There is no hub to ask: ai.hubs is empty. Add the model with --from DIR, or import a bundle.")
	}
	return nil, first(failed)
}

// first is the error to show of several: that of the first hub, with all as its cause.
func first(errs []error) error {
	e, _ := errors.AsType[*fault.Error](errs[0])
	return fault.Wrap(errors.Join(errs...), e.Code, "%s", e.Message)
}

func refusal(host string, status int, token bool) error {
	switch {
	case (status == http.StatusUnauthorized || status == http.StatusForbidden) && !token:
		return fault.New(fault.CodeDownload, "The hub %s wants a token for it (%d): accept the model's licence there, and put hub=TOKEN into the file of ai.keys", host, status)
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return fault.New(fault.CodeDownload, "The hub %s does not let this token have it (%d): accept the model's licence there", host, status)
	case status == http.StatusNotFound:
		return fault.New(fault.CodeDownload, "The hub %s does not have it", host)
	}
	return fault.New(fault.CodeDownload, "The hub %s answered with %d", host, status)
}
