package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/selvage-dev/selvage/client"
)

func (a *app) vectorExport() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "export INDEX",
		Short: "Print all vectors as newline-delimited JSON",
		Long: `Prints the vectors of an index as they are at one moment, one a line, as "import" and
wrangler read them.`,
		Example: "  selvage vectorize export papers --output papers.ndjson\n  selvage vectorize export papers | gzip > papers.ndjson.gz",
		Args:    oneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.vectorOn(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				write := func(w io.Writer) error {
					r, err := c.ExportVectors(ctx, args[0])
					if err != nil {
						return err
					}
					defer r.Close() //nolint:errcheck // only read
					return client.ReadVectorExport(r, func(client.VectorExport) error { return nil }, func(line []byte) error {
						_, err := w.Write(append(line, '\n'))
						return err
					})
				}
				if output == "" {
					return write(a.Stdout)
				}
				return writeWhole(output, write)
			})
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "file to write; standard output otherwise")
	return cmd
}

func (a *app) vectorBackup() *cobra.Command {
	return &cobra.Command{
		Use:   "backup INDEX FILE",
		Short: "Write an index to a file, with its configuration and a checksum",
		Long: `Writes an index as it is at one moment to a file that "restore" makes it again from. The
file is read back as it is written: when the command succeeds, the backup is whole.`,
		Example: "  selvage vectorize backup papers papers.backup",
		Args:    twoArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.vectorOn(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				var about client.VectorExport
				err := writeWhole(args[1], func(w io.Writer) error {
					r, err := c.ExportVectors(ctx, args[0])
					if err != nil {
						return err
					}
					defer r.Close() //nolint:errcheck // only read
					return client.ReadVectorExport(io.TeeReader(r, w), func(e client.VectorExport) error {
						about = e
						return nil
					}, func([]byte) error { return nil })
				})
				if err != nil {
					return err
				}
				a.printf("%d vectors of %s in %s\n", about.Count, about.Name, args[1])
				return nil
			})
		},
	}
}

func (a *app) vectorRestore() *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "Make an index from a backup",
		Long: `Makes the index of a backup again, under its name or another; there must be none of that name.
The whole file is checked before anything is made.`,
		Example: "  selvage vectorize restore papers.backup\n  selvage vectorize restore papers.backup --name papers-2",
		Args:    oneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := os.Open(args[0])
			if err != nil {
				return err
			}
			defer func() { _ = f.Close() }()
			var about client.VectorExport
			err = client.ReadVectorExport(f, func(e client.VectorExport) error {
				about = e
				return nil
			}, func([]byte) error { return nil })
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			if _, err := f.Seek(0, io.SeekStart); err != nil {
				return err
			}
			if name == "" {
				name = about.Name
			}
			return a.vectorOn(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				return a.restoreVectors(ctx, c, name, &about, f)
			})
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "the name of the index; that of the backup otherwise")
	return cmd
}

func (a *app) restoreVectors(ctx context.Context, c *client.Client, name string, about *client.VectorExport, r io.Reader) error {
	if _, err := c.CreateVectorIndex(ctx, client.VectorIndex{Name: name, Config: about.Config}); err != nil {
		return err
	}
	err := fillRestored(ctx, c, name, about, r)
	if err != nil {
		// Half an index would pass for a whole one.
		return errors.Join(fmt.Errorf("the index was not restored: %w", err), c.DeleteVectorIndex(context.WithoutCancel(ctx), name))
	}
	a.printf("%d vectors in %s\n", about.Count, name)
	return nil
}

func fillRestored(ctx context.Context, c *client.Client, name string, about *client.VectorExport, r io.Reader) error {
	for _, m := range about.MetadataIndexes {
		if err := c.CreateVectorMetadataIndex(ctx, name, m); err != nil {
			return err
		}
	}
	const batch, most = 1000, 64 << 20
	var lines bytes.Buffer
	n := 0
	send := func() error {
		if n == 0 {
			return nil
		}
		_, err := c.PutVectors(ctx, name, true, lines.Bytes())
		n = 0
		lines.Reset()
		return err
	}
	err := client.ReadVectorExport(r, func(client.VectorExport) error { return nil }, func(line []byte) error {
		lines.Write(line)
		lines.WriteByte('\n')
		if n++; n < batch && lines.Len() < most {
			return nil
		}
		return send()
	})
	if err == nil {
		err = send()
	}
	if err != nil {
		return err
	}
	info, err := c.VectorIndexInfo(ctx, name)
	if err == nil && info.VectorCount != about.Count {
		err = fmt.Errorf("it has %d vectors, and the backup %d", info.VectorCount, about.Count)
	}
	return err
}
