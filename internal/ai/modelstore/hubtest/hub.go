// Package hubtest is a hub of models for tests: what Hugging Face's answers for a
// repository, with faults.
package hubtest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
)

// Commit is the revision of all repositories.
const Commit = "0123456789abcdef0123456789abcdef01234567"

// Hub serves repositories.
type Hub struct {
	// Repositories are files by path, by OWNER/NAME.
	Repositories map[string]map[string][]byte
	// Token, if set, is wanted.
	Token string
	// CutAt, if above 0, ends each answer of a file after so many bytes.
	CutAt int64
	// Lie is the path of a file that is sent with a byte changed.
	Lie string

	Sent     atomic.Int64 // bytes of files
	mu       sync.Mutex
	requests []string
}

// Requests are the paths that were asked for, with the range after a space.
func (h *Hub) Requests() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]string(nil), h.requests...)
}

// ServeHTTP answers one request.
func (h *Hub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	h.requests = append(h.requests, strings.TrimSpace(r.URL.Path+" "+r.Header.Get("Range")))
	h.mu.Unlock()
	if h.Token != "" && r.Header.Get("Authorization") != "Bearer "+h.Token {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if path, ok := strings.CutPrefix(r.URL.Path, "/api/models/"); ok {
		repository, _, _ := strings.Cut(path, "/revision/")
		h.list(w, repository)
		return
	}
	for repository, files := range h.Repositories {
		if path, ok := strings.CutPrefix(r.URL.Path, "/"+repository+"/resolve/"+Commit+"/"); ok && files[path] != nil {
			h.file(w, r, path, files[path])
			return
		}
	}
	http.NotFound(w, r)
}

func (h *Hub) list(w http.ResponseWriter, repository string) {
	files, ok := h.Repositories[repository]
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	type sibling map[string]any
	var siblings []sibling
	for path, body := range files {
		s := sibling{"rfilename": path, "size": len(body)}
		if strings.HasSuffix(path, ".safetensors") {
			sum := sha256.Sum256(body)
			s["lfs"] = map[string]any{"sha256": hex.EncodeToString(sum[:]), "size": len(body)}
		}
		siblings = append(siblings, s)
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"sha": Commit, "siblings": siblings}) // a test's server
}

func (h *Hub) file(w http.ResponseWriter, r *http.Request, path string, body []byte) {
	from := int64(0)
	if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from); err == nil && from < int64(len(body)) {
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(body)-1, len(body)))
	} else {
		from = 0
	}
	part := append([]byte(nil), body[from:]...)
	if path == h.Lie && len(part) > 0 {
		part[0] ^= 1
	}
	w.Header().Set("Content-Length", fmt.Sprint(len(part)))
	if from > 0 {
		w.WriteHeader(http.StatusPartialContent)
	}
	if h.CutAt > 0 && int64(len(part)) > h.CutAt {
		part = part[:h.CutAt]
		defer panic(http.ErrAbortHandler)
	}
	n, _ := w.Write(part) // who does not read it is gone
	h.Sent.Add(int64(n))
}
