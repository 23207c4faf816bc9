package history

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/superfly/ltx"

	"github.com/selvage-dev/selvage/internal/fsx"
)

// position is how far the log has been recorded.
type position struct {
	salt   uint64 // 0: the log was empty
	frame  int    // of the log, behind the last one that was recorded
	commit uint32 // pages of the database then
	// renewable is set when all of the log is in the database file: the next write may
	// begin the log anew.
	renewable bool
}

// Names of what is in the folder beside the files of the history.
const (
	epochName = "epoch"
	cleanName = "clean"
)

// readEpoch returns the last epoch that began, 0 when none did.
func readEpoch(dir string) (uint32, error) {
	b, err := os.ReadFile(filepath.Join(dir, epochName)) //nolint:gosec // in the history's folder
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("history: %w", err)
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 32)
	if err != nil {
		return 0, fmt.Errorf("history: %s is damaged: %w", filepath.Join(dir, epochName), err)
	}
	return uint32(n), nil
}

func writeEpoch(fs fsx.FS, dir string, epoch uint32) error {
	if err := fs.WriteFile(filepath.Join(dir, epochName), []byte(strconv.FormatUint(uint64(epoch), 10)+"\n"), 0o600); err != nil {
		return fmt.Errorf("history: %w", err)
	}
	return nil
}

// identity tells whether the database file is the one that was seen before, untouched.
type identity struct{ id, size, modified uint64 }

func identify(path string, id TXID) (identity, error) {
	info, err := os.Stat(path)
	if err != nil {
		return identity{}, fmt.Errorf("history: %w", err)
	}
	return identity{uint64(id), uint64(info.Size()), uint64(info.ModTime().UnixNano())}, nil //nolint:gosec // compared, not computed with
}

func (i identity) encode() []byte {
	var b []byte
	for _, v := range []uint64{i.id, i.size, i.modified} {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
}

// readClean returns what the last checkpoint left; what cannot be read is none.
func readClean(dir string) identity {
	b, err := os.ReadFile(filepath.Join(dir, cleanName)) //nolint:gosec // in the history's folder
	if err != nil || len(b) != 28 || binary.BigEndian.Uint32(b[24:]) != crc32.ChecksumIEEE(b[:24]) {
		return identity{}
	}
	n := func(i int) uint64 { return binary.BigEndian.Uint64(b[8*i:]) }
	return identity{n(0), n(1), n(2)}
}

// recorded returns the last record of the folder and where in the log it ended.
func (d *Folder) recorded() (record, error) {
	if s := d.active; s != nil && s.count > 0 {
		return s.last, nil
	}
	for _, f := range slices.Backward(d.files) {
		if f.Max != d.files[len(d.files)-1].Max {
			break
		}
		if f.exact() && f.Level != LevelSnapshot {
			return d.lastOf(f)
		}
	}
	if n := len(d.files); n > 0 {
		return d.lastOf(d.files[n-1])
	}
	return record{}, nil
}

// lastOf reads the last transaction of a file from its header.
func (d *Folder) lastOf(f File) (last record, err error) {
	in, err := os.Open(d.pathOf(f))
	if err != nil {
		return record{}, fmt.Errorf("history: %w", err)
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	if f.Level == LevelRecords {
		end, err := eachRecord(in, f.Size, nil, func(r record) error { last = r; return nil })
		if err == nil && (end != f.Size || last.id != f.Max) {
			err = fmt.Errorf("history: %s: %w", f.Name(), ErrDamaged)
		}
		return last, err
	}
	h, _, err := ltx.PeekHeader(bufio.NewReader(in))
	if err != nil || TXID(h.MaxTXID) != f.Max {
		return record{}, fmt.Errorf("history: %s: %w", f.Name(), errors.Join(ErrDamaged, err))
	}
	return recordOf(&h, 0, f.Size), nil
}

// LastEpoch returns the last epoch of the history in a folder, 0 when there is none.
func LastEpoch(dir string) (uint32, error) {
	d, err := OpenFolder(fsx.FS{}, dir)
	if err != nil {
		return 0, err
	}
	epoch, err := readEpoch(dir)
	return max(epoch, d.last().Epoch()), err
}
