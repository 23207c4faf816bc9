package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/selvage-dev/selvage/client"
)

// Sizes of the suite's databases, in bytes of rows.
const (
	restoreBytes  = 1 << 30
	transferBytes = 128 << 20
)

// d1History measures what time travel costs and how long a restore takes, and imports
// and exports against the sqlite3 shell.
func d1History(ctx context.Context, b *bench) error {
	on, err := b.historyPlatform(ctx)
	if err != nil {
		return err
	}
	defer on.stop()
	if err := b.travelCost(ctx, on); err != nil {
		return err
	}
	if err := b.transfers(ctx, on); err != nil {
		return err
	}
	return b.restoreTime(ctx, on, restoreBytes)
}

func (b *bench) historyPlatform(ctx context.Context, env ...string) (*platform, error) {
	p, err := b.platform("", env...)
	if err != nil {
		return nil, err
	}
	if err = p.deployD1(ctx); err == nil {
		err = filled(ctx, p.EdgeURL+"/fill", p.host("db"))
	}
	if err != nil {
		p.stop()
		return nil, err
	}
	return p, nil
}

// travelCost inserts with and without time travel, in turns.
func (b *bench) travelCost(ctx context.Context, on *platform) error {
	off, err := b.historyPlatform(ctx, "SELVAGE_D1_TIME_TRAVEL=0s")
	if err != nil {
		return err
	}
	defer off.stop()
	with, err := on.doorSocket("d1-0.sock")
	if err != nil {
		return err
	}
	without, err := off.doorSocket("d1-0.sock")
	if err != nil {
		return err
	}
	var rates, ratios []float64
	for range b.rounds {
		a, err := b.socketLoad(ctx, with, "insert")
		if err != nil {
			return err
		}
		c, err := b.socketLoad(ctx, without, "insert")
		if err != nil {
			return err
		}
		rates, ratios = append(rates, a), append(ratios, a/c)
	}
	b.report.add("d1-history", "durable inserts with time travel", median(rates), "/s")
	b.report.want("d1-history", "durable inserts with time travel / without", median(ratios), "×", ">=", 0.9)
	return nil
}

// grow makes a database of rows of about 2 KB.
func (p *platform) grow(ctx context.Context, name string, bytes int) (client.D1Database, error) {
	db, err := p.client.CreateD1(ctx, name)
	if err != nil {
		return db, err
	}
	if _, err := p.client.QueryD1(ctx, db.UUID, "CREATE TABLE big (id INTEGER PRIMARY KEY, n INTEGER, r REAL, text TEXT)"); err != nil {
		return db, err
	}
	const row, step = 2000, 16 << 20 // a statement has 30 s, however busy the machine is
	for done := 0; done < bytes; done += step {
		rows := min(step, bytes-done) / row
		sql := fmt.Sprintf("WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c LIMIT %d) INSERT INTO big (n, r, text) SELECT i, i / 7.0, hex(randomblob(%d)) FROM c", rows, row/2)
		if _, err := p.client.QueryD1(ctx, db.UUID, sql); err != nil {
			return db, err
		}
	}
	return db, nil
}

// restoreTime goes back to a state of a large database.
func (b *bench) restoreTime(ctx context.Context, p *platform, bytes int) error {
	db, err := p.grow(ctx, "large", bytes)
	if err != nil {
		return err
	}
	bookmark, err := p.client.D1Bookmark(ctx, db.UUID, time.Time{}) // waits until all is recorded
	if err != nil {
		return err
	}
	if _, err := p.client.QueryD1(ctx, db.UUID, "DELETE FROM big WHERE id % 2"); err != nil {
		return err
	}
	if _, err := p.client.D1Bookmark(ctx, db.UUID, time.Time{}); err != nil {
		return err
	}
	began := time.Now()
	if _, err := p.client.RestoreD1(ctx, db.UUID, bookmark); err != nil {
		return err
	}
	took := time.Since(began).Seconds()
	b.report.want("d1-history", fmt.Sprintf("restore of %d MB", bytes>>20), took, "s", "<=", 20)
	return nil
}

// transfers exports a database and imports the file, here and with the sqlite3 shell.
func (b *bench) transfers(ctx context.Context, p *platform) error {
	shell, err := exec.LookPath("sqlite3")
	if err != nil {
		return err
	}
	db, err := p.grow(ctx, "transfer", transferBytes)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(b.dir, "transfer-")
	if err != nil {
		return err
	}
	source := filepath.Join(dir, "source.db")
	if out, err := exec.CommandContext(ctx, shell, filepath.Join(p.data, "d1", db.UUID, "db.sqlite"), "VACUUM INTO '"+source+"'").CombinedOutput(); err != nil {
		return fmt.Errorf("sqlite3: %w: %s", err, out)
	}
	dump := filepath.Join(dir, "dump.sql")
	var exports, imports []float64
	for i := range b.rounds {
		ours, err := timed(func() error {
			return toFile(dump, func(w io.Writer) error { return p.client.ExportD1(ctx, db.UUID, client.D1ExportOptions{}, w) })
		})
		if err != nil {
			return err
		}
		theirs, err := timed(func() error {
			return toFile(filepath.Join(dir, "shell.sql"), func(w io.Writer) error {
				cmd := exec.CommandContext(ctx, shell, source, ".dump")
				cmd.Stdout = w
				return cmd.Run()
			})
		})
		if err != nil {
			return err
		}
		exports = append(exports, theirs/ours)
		if ours, err = timed(func() error { return importHere(ctx, p, fmt.Sprintf("copy-%d", i), dump) }); err != nil {
			return err
		}
		theirs, err = timed(func() error {
			cmd := exec.CommandContext(ctx, shell, filepath.Join(dir, fmt.Sprintf("copy-%d.db", i)))
			cmd.Stdin = strings.NewReader("PRAGMA journal_mode=WAL;\nPRAGMA synchronous=FULL;\nBEGIN;\n.read " + dump + "\nCOMMIT;\n")
			return cmd.Run()
		})
		if err != nil {
			return err
		}
		imports = append(imports, theirs/ours)
	}
	b.report.want("d1-history", fmt.Sprintf("export of %d MB: the sqlite3 shell's .dump / selvage, in time", transferBytes>>20), median(exports), "×", ">=", 1)
	b.report.want("d1-history", fmt.Sprintf("import of %d MB: the sqlite3 shell / selvage, upload included, in time", transferBytes>>20), median(imports), "×", ">=", 0.9)
	return nil
}

func importHere(ctx context.Context, p *platform, name, dump string) error {
	db, err := p.client.CreateD1(ctx, name)
	if err != nil {
		return err
	}
	f, err := os.Open(dump)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // only read
	_, err = p.client.ImportD1(ctx, db.UUID, f, nil)
	return err
}

func timed(fn func() error) (seconds float64, err error) {
	began := time.Now()
	err = fn()
	return time.Since(began).Seconds(), err
}

func toFile(path string, fn func(io.Writer) error) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := fn(f); err != nil {
		return err
	}
	return f.Close()
}
