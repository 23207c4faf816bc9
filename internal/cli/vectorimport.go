package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/selvage-dev/selvage/client"
)

// importing is what the flags of an import say.
type importing struct {
	upsert   bool
	prefix   string
	progress string // the file that notes how far it is; "" for none
	skip     int
	batch    int
}

func (a *app) vectorInsert() *cobra.Command {
	o := importing{}
	cmd := &cobra.Command{
		Use:     "insert INDEX FILE",
		Short:   "Add the vectors of a file; ids that are there stay as they are",
		Example: "  selvage vectorize insert papers new.ndjson\n  cat new.ndjson | selvage vectorize insert papers -",
		Args:    twoArgs(2),
		RunE:    func(cmd *cobra.Command, args []string) error { return a.importFile(cmd.Context(), args[0], args[1], o) },
	}
	a.addImport(cmd, &o)
	return cmd
}

func (a *app) vectorImport() *cobra.Command {
	o := importing{upsert: true}
	cmd := &cobra.Command{
		Use:   "import INDEX FILE",
		Short: "Add the vectors of a file; those whose ids are there are replaced",
		Long: `Reads vectors from newline-delimited JSON, as wrangler takes it, from a NumPy array (.npy) or
from .fvecs, and sends them in batches. Each batch is kept whole when it is acknowledged. If the
import is interrupted, the message says with which --skip it goes on; with --progress the same
command does.`,
		Example: `  selvage vectorize import papers papers.ndjson
  selvage vectorize import papers embeddings.npy --id-prefix doc-
  selvage vectorize import papers papers.ndjson --progress papers.progress
  selvage vectorize import papers papers.ndjson --skip 250000`,
		Args: twoArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error { return a.importFile(cmd.Context(), args[0], args[1], o) },
	}
	a.addImport(cmd, &o)
	return cmd
}

func (a *app) addImport(cmd *cobra.Command, o *importing) {
	cmd.Flags().IntVar(&o.skip, "skip", 0, "leave out so many vectors at the beginning, which an earlier run has imported")
	cmd.Flags().IntVar(&o.batch, "batch", 1000, "vectors of one call")
	cmd.Flags().StringVar(&o.prefix, "id-prefix", "", "what ids begin with, for files without ids")
	cmd.Flags().StringVar(&o.progress, "progress", "", "file that notes how far the import is; if it is there, the import goes on from there")
	cmd.Flags().BoolVar(&a.json, "json", false, "print JSON")
}

// importFile sends the vectors of a file, or of standard input if it is "-".
func (a *app) importFile(ctx context.Context, index, path string, o importing) error {
	if o.batch < 1 || o.batch > client.MaxVectorBatch {
		return fmt.Errorf("--batch must be from 1 to %d", client.MaxVectorBatch)
	}
	if o.progress != "" && (path == "-" || o.skip > 0) {
		return errors.New("--progress goes neither with standard input nor with --skip")
	}
	var progress *importProgress
	in, name := a.Stdin, ""
	if path != "-" {
		f, err := os.Open(path) //nolint:gosec // the user's file
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
		in, name = f, path
		if o.progress != "" {
			if progress, err = openProgress(o.progress, index, path, o.prefix); err != nil {
				return err
			}
			o.skip = progress.Done
		}
	}
	r, err := newVectorReader(name, in, o.prefix)
	if err != nil {
		return err
	}
	return a.vectorOn(ctx, func(ctx context.Context, c *client.Client) error {
		began := time.Now()
		n, err := a.importVectors(ctx, c, index, r, o, progress)
		switch {
		case err != nil && progress != nil:
			return fmt.Errorf("%w\n%d vectors of the file are in the index; go on with the same command", err, n)
		case err != nil:
			return fmt.Errorf("%w\n%d vectors of the file are in the index; go on with --skip %d", err, n, n)
		}
		if err := progress.end(); err != nil {
			return err
		}
		took := time.Since(began)
		if a.json {
			return a.printJSON(map[string]any{"vectors": n - o.skip, "seconds": took.Seconds()})
		}
		a.printf("%d vectors in %s (%.0f/s)\n", n-o.skip, took.Round(time.Millisecond), float64(n-o.skip)/max(took.Seconds(), 0.001))
		return nil
	})
}

// importVectors returns how many vectors of the file are in the index for sure.
func (a *app) importVectors(ctx context.Context, c *client.Client, index string, r vectorReader, o importing, progress *importProgress) (done int, err error) {
	for ; done < o.skip; done++ {
		if _, err := r.next(); err != nil {
			if errors.Is(err, io.EOF) {
				err = fmt.Errorf("the file has only %d vectors", done)
			}
			return done, err
		}
	}
	const most = 64 << 20 // bytes of a call
	var lines []byte
	said := time.Now()
	for n := 0; ; {
		line, err := r.next()
		end := errors.Is(err, io.EOF)
		if err != nil && !end {
			return done, err
		}
		if !end {
			lines = append(append(lines, line...), '\n')
			n++
		}
		if n > 0 && (end || n == o.batch || len(lines) > most) {
			if _, err := c.PutVectors(ctx, index, o.upsert, lines); err != nil {
				return done, err
			}
			done += n
			n, lines = 0, lines[:0]
			if err := progress.save(done); err != nil {
				return done, fmt.Errorf("the progress could not be noted: %w", err)
			}
			if time.Since(said) > time.Second {
				said = time.Now()
				a.note("%d vectors", done)
			}
		}
		if end {
			return done, nil
		}
	}
}
