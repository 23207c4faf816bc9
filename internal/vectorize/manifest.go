package vectorize

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/selvage-dev/selvage/internal/fsx"
)

const (
	manifestName    = "manifest"
	manifestVersion = 1
	manifestMagic   = "selvage vectors"
)

// manifest says which files make up an index. It is replaced as a whole: what it
// does not name is not there.
type manifest struct {
	Version    int       `json:"version"`
	Index      uuid.UUID `json:"index"`
	Dimensions int       `json:"dimensions"`
	Metric     Metric    `json:"metric"`
	// Seq is the last mutation that the segments contain; the logs have the rest.
	Seq      uint64          `json:"seq"`
	Mutation uuid.UUID       `json:"mutation"` // the one of Seq
	Time     time.Time       `json:"time"`     // of it
	Metadata []MetadataIndex `json:"metadata"`
	Segments []segmentRef    `json:"segments"`
	Logs     []logRef        `json:"logs"` // in order; the last takes new mutations
	NextFile uint64          `json:"next_file"`
}

// segmentRef names a segment.
type segmentRef struct {
	ID   uint64 `json:"id"`
	Rows int    `json:"rows"`
	// Dead is the file of the rows that are gone; 0 when none is.
	Dead uint64 `json:"dead,omitempty"`
}

// logRef names a log.
type logRef struct {
	ID    uint64 `json:"id"`
	First uint64 `json:"first"` // number of its first frame
	// Sealed is how many bytes of it are known to be acknowledged.
	Sealed int64 `json:"sealed"`
}

// write puts the manifest into the folder of the index.
func (m *manifest) write(fs fsx.FS, dir string) error {
	m.Version = manifestVersion
	body, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		return fmt.Errorf("vectorize: manifest: %w", err)
	}
	head := fmt.Sprintf("%s %08x\n", manifestMagic, checksum(body))
	return fs.WriteFile(dir+"/"+manifestName, append([]byte(head), body...), 0o600)
}

// readManifest reads the manifest of the index in dir. A damaged one is a
// [*CorruptError].
func readManifest(dir string, index uuid.UUID) (*manifest, error) {
	path := dir + "/" + manifestName
	raw, err := os.ReadFile(path) //nolint:gosec // a path of ours
	if os.IsNotExist(err) {
		return nil, &CorruptError{Path: path, Reason: "it is missing"}
	}
	if err != nil {
		return nil, fmt.Errorf("vectorize: read the manifest: %w", err)
	}
	head, body, _ := strings.Cut(string(raw), "\n")
	if head != fmt.Sprintf("%s %08x", manifestMagic, checksum([]byte(body))) {
		return nil, &CorruptError{Path: path, Reason: "the checksum does not match"}
	}
	var m manifest
	if err := json.Unmarshal([]byte(body), &m); err != nil {
		return nil, &CorruptError{Path: path, Reason: err.Error()}
	}
	switch {
	case m.Version > manifestVersion:
		return nil, fmt.Errorf("vectorize: %s has version %d and this release knows %d: use the newer release", path, m.Version, manifestVersion)
	case m.Index != index:
		return nil, &CorruptError{Path: path, Reason: "it is of another index"}
	case len(m.Logs) == 0:
		return nil, &CorruptError{Path: path, Reason: "it names no log"}
	}
	return &m, nil
}

func logName(id uint64) string { return fmt.Sprintf("%012d.log", id) }
