package cli

import (
	"archive/tar"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/selvage-dev/selvage/client"
)

func (a *app) aiImport() *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use:     "import FILE",
		Short:   "Add the model of a bundle",
		Example: "  selvage ai import bge-small.tar\n  selvage ai import bge-small.tar --name @mine/embed",
		Args:    oneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.vectorOn(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				m, err := c.ImportAIModel(ctx, name, "", func() (io.ReadCloser, error) { return os.Open(args[0]) })
				if err != nil {
					return err
				}
				return a.printAdded(&m)
			})
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "the name of the model; that of the bundle otherwise")
	cmd.Flags().BoolVar(&a.json, "json", false, "print JSON")
	return cmd
}

// modelBundle is a bundle that is made while it is sent, of files where they are.
type modelBundle struct {
	manifest []byte
	files    []client.AIFile
	paths    []string // on this machine, one for each file
}

// packModel makes a bundle of a folder or of a GGUF file.
func packModel(name, kind, from string) (*modelBundle, error) {
	info, err := os.Stat(from)
	if err != nil {
		return nil, err
	}
	b := &modelBundle{}
	if !info.IsDir() {
		if !strings.EqualFold(filepath.Ext(from), ".gguf") {
			return nil, fmt.Errorf("%s is neither a folder nor a GGUF file; \"selvage ai import\" reads bundles", from)
		}
		b.add("model.gguf", from, info.Size())
		if kind == "" {
			kind = "generation"
		}
	} else if err := b.addDir(from); err != nil {
		return nil, err
	}
	b.manifest, err = json.Marshal(map[string]any{"selvage_model": 1, "name": name, "kind": kind, "source": "files", "files": b.files})
	return b, err
}

func (b *modelBundle) add(name, path string, size int64) {
	b.files, b.paths = append(b.files, client.AIFile{Path: name, Size: size}), append(b.paths, path)
}

// addDir adds what of a folder belongs to a model: descriptions and safetensors.
func (b *modelBundle) addDir(dir string) error {
	weights := false
	for _, pattern := range []string{"*.json", "*.jinja", "LICENSE*", "model*.safetensors", "1_Pooling/config.json"} {
		found, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			return err
		}
		for _, path := range found {
			info, err := os.Stat(path)
			if err != nil {
				return err
			}
			if !info.Mode().IsRegular() {
				continue
			}
			rel, err := filepath.Rel(dir, path)
			if err != nil {
				return err
			}
			b.add(filepath.ToSlash(rel), path, info.Size())
			weights = weights || strings.HasSuffix(path, ".safetensors")
		}
	}
	if !weights {
		return fmt.Errorf("%s has no model*.safetensors: it is not a model as Hugging Face lays it out", dir)
	}
	return nil
}

// open writes the bundle into a pipe.
func (b *modelBundle) open() (io.ReadCloser, error) {
	r, w := io.Pipe()
	go func() { _ = w.CloseWithError(b.write(w)) }() // never fails
	return r, nil
}

func (b *modelBundle) write(w io.Writer) error {
	t := tar.NewWriter(w)
	if err := t.WriteHeader(&tar.Header{Name: "selvage-model.json", Mode: 0o600, Size: int64(len(b.manifest))}); err != nil {
		return err
	}
	if _, err := t.Write(b.manifest); err != nil {
		return err
	}
	for i, f := range b.files {
		if err := t.WriteHeader(&tar.Header{Name: "files/" + f.Path, Mode: 0o600, Size: f.Size}); err != nil {
			return err
		}
		if err := copyInto(t, b.paths[i]); err != nil {
			return fmt.Errorf("%s: %w", b.paths[i], err)
		}
	}
	return t.Close()
}

func copyInto(w io.Writer, path string) error {
	f, err := os.Open(path) //nolint:gosec // the user names it
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	_, err = io.Copy(w, f)
	return err
}
