package registry

import (
	"regexp"
	"strings"
)

const (
	maxName   = 255 // bytes of a repository's name
	digestLen = 64
	algorithm = "sha256:"
)

var (
	// The specification's, anchored (Go's regular expressions take linear time).
	namePattern = regexp.MustCompile(`^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$`)
	tagPattern  = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$`)
)

// Repo names a repository of an account, without the account.
type Repo struct{ Account, Name string }

func (r Repo) check() error {
	if len(r.Name) > maxName || !namePattern.MatchString(r.Name) {
		return fail(CodeNameInvalid, "%.80q is no name of a repository: use lower-case letters, digits and separators, at most %d bytes", r.Name, maxName)
	}
	return nil
}

// Digest is the hex part of a SHA-256 digest, the only algorithm there is here.
type Digest string

// String returns it as it is written everywhere else, "sha256:…".
func (d Digest) String() string { return algorithm + string(d) }

// ParseDigest reads "sha256:" and 64 lower-case hex digits.
func ParseDigest(s string) (Digest, error) {
	hex, ok := strings.CutPrefix(s, algorithm)
	if !ok || len(hex) != digestLen || strings.Trim(hex, "0123456789abcdef") != "" {
		return "", fail(CodeDigestInvalid, "%.80q is no digest that this registry takes: use sha256: and 64 hex digits", s)
	}
	return Digest(hex), nil
}

// Reference is a tag, or a digest when Tag is empty.
type Reference struct {
	Tag    string
	Digest Digest
}

// ParseReference reads what stands behind /manifests/.
func ParseReference(s string) (Reference, error) {
	if strings.Contains(s, ":") {
		d, err := ParseDigest(s)
		return Reference{Digest: d}, err
	}
	if !tagPattern.MatchString(s) {
		return Reference{}, fail(CodeManifestInvalid, "%.80q is neither a tag nor a digest", s)
	}
	return Reference{Tag: s}, nil
}

// String returns the tag or the digest.
func (r Reference) String() string {
	if r.Tag != "" {
		return r.Tag
	}
	return r.Digest.String()
}
