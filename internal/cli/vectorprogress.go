package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/selvage-dev/selvage/internal/fsx"
)

// importProgress is what an import notes in a file of how far it is, for the run that
// goes on with it.
type importProgress struct {
	Index  string `json:"index"`
	File   string `json:"file"`
	Size   int64  `json:"size"` // of the file, in bytes
	Prefix string `json:"idPrefix"`
	Done   int    `json:"done"` // vectors of the file that are in the index

	path string
}

// openProgress reads the note at path, if there is one, which must be of this import.
func openProgress(path, index, file, prefix string) (*importProgress, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	whole, err := filepath.Abs(file)
	if err != nil {
		return nil, err
	}
	p := &importProgress{Index: index, File: whole, Size: info.Size(), Prefix: prefix, path: path}
	raw, err := os.ReadFile(path) //nolint:gosec // the user's file
	if os.IsNotExist(err) {
		return p, nil
	}
	if err != nil {
		return nil, err
	}
	var old importProgress
	if err := json.Unmarshal(raw, &old); err != nil || old.Index == "" {
		return nil, fmt.Errorf("%s does not say how far an import is; name another file, or remove it", path)
	}
	p.Done, old.path = old.Done, path
	if old != *p {
		return nil, fmt.Errorf("%s is of the import of %s (%d bytes) into %s; to begin anew, remove it", path, old.File, old.Size, old.Index)
	}
	return p, nil
}

// save notes how many vectors are in the index.
func (p *importProgress) save(done int) error {
	if p == nil {
		return nil
	}
	p.Done = done
	return writeWhole(p.path, func(w io.Writer) error { return json.NewEncoder(w).Encode(p) })
}

// end removes the note: there is nothing to go on with.
func (p *importProgress) end() error {
	if p == nil {
		return nil
	}
	if err := (fsx.FS{}).Remove(p.path); err != nil && !os.IsNotExist(err) {
		return err
	}
	return nil
}
