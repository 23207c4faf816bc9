package history

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"time"
)

// TXID numbers a transaction: the epoch in the upper half, how many there were in it
// in the lower.
type TXID uint64

// Epoch returns the upper half.
func (t TXID) Epoch() uint32 { return uint32(t >> 32) }

// Within returns the lower half.
func (t TXID) Within() uint32 { return uint32(t) } //nolint:gosec // the lower half is meant

// firstOf is the number of an epoch's snapshot.
func firstOf(epoch uint32) TXID { return TXID(epoch)<<32 | 1 }

// Levels of files. A file of a level between holds the pages of all its
// transactions, each as the last of them left it.
const (
	LevelRecords  = 0 // a segment: every transaction by itself
	LevelSingle   = 1 // one segment merged, or one large transaction by itself
	LevelMany     = 2 // several of those merged
	LevelSnapshot = 9 // all pages, whatever came before
)

// File is one file of a history. Its name says all of it but the size.
type File struct {
	Level       int       `json:"level"`
	Min, Max    TXID      // transactions in it; of a snapshot Min is the same as Max
	First, Last time.Time // when the first and the last were committed, to the millisecond
	Size        int64     `json:"size"` // bytes
}

const fileNames = `^l([0-9])-([0-9a-f]{16})-([0-9a-f]{16})-([0-9]{1,15})-([0-9]{1,15})\.ltx$`

// Name returns the file's name.
func (f File) Name() string {
	return fmt.Sprintf("l%d-%016x-%016x-%d-%d.ltx", f.Level, uint64(f.Min), uint64(f.Max), f.First.UnixMilli(), f.Last.UnixMilli())
}

// ParseName reads a name that Name made.
func ParseName(name string) (File, bool) {
	m := regexp.MustCompile(fileNames).FindStringSubmatch(name)
	if m == nil {
		return File{}, false
	}
	level, _ := strconv.Atoi(m[1]) // the pattern leaves only numbers
	lo, _ := strconv.ParseUint(m[2], 16, 64)
	hi, _ := strconv.ParseUint(m[3], 16, 64)
	first, _ := strconv.ParseInt(m[4], 10, 64)
	last, _ := strconv.ParseInt(m[5], 10, 64)
	f := File{Level: level, Min: TXID(lo), Max: TXID(hi), First: time.UnixMilli(first).UTC(), Last: time.UnixMilli(last).UTC()}
	return f, f.Min > 0 && f.Min <= f.Max && !f.Last.Before(f.First)
}

// exact reports whether the file tells each of its transactions from the others.
func (f File) exact() bool { return f.Level == LevelRecords || f.Min == f.Max }

// before orders files by their last transaction, then by level.
func (f File) before(g File) int {
	return cmp.Or(cmp.Compare(f.Max, g.Max), cmp.Compare(f.Level, g.Level), cmp.Compare(f.Min, g.Min))
}

// Source is where the files of a history are: a folder, a backup, and one day a
// bucket. It is safe for concurrent use.
type Source interface {
	// Files lists all files, ordered by their last transaction.
	Files(ctx context.Context) ([]File, error)
	// Open opens one of them. The caller closes it.
	Open(ctx context.Context, f File) (io.ReadCloser, error)
}
