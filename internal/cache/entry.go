package cache

import (
	"os"
	"strings"
	"time"
)

// Key names an entry within its zone: a digest, so that its length and content
// are no concern here.
type Key [32]byte

// Field is one header field.
type Field struct{ Name, Value string }

// Response is what is kept besides the body. It must not be changed once it has
// been committed: readers share it.
type Response struct {
	Status int
	Header []Field
	// Vary holds, for responses that were chosen by fields of the request, those
	// fields with the values they had.
	Vary []Field
	// Stored is when it came to be as it is; earlier than the commit when it
	// brought an age along.
	Stored time.Time
	// Expires is when it may no longer be served.
	Expires time.Time
}

// size is what a response takes in memory, about.
func (r *Response) size() int64 {
	const each = 48 // a Field and its share of a slice's spare room
	n := int64(0)
	for _, list := range [][]Field{r.Header, r.Vary} {
		for _, f := range list {
			n += int64(len(f.Name)+len(f.Value)) + each
		}
	}
	return n
}

// Field returns the first value of a field, by its name in any case.
func (r *Response) Field(name string) string {
	for _, f := range r.Header {
		if strings.EqualFold(f.Name, name) {
			return f.Value
		}
	}
	return ""
}

// Hit is an entry that was found. The caller closes it.
type Hit struct {
	*Response
	// Now is the moment of the look-up.
	Now time.Time
	// Length is the body's, in bytes. The body is Bytes unless File is set.
	Length int64
	Bytes  []byte
	File   *os.File
}

// Close gives the file back, if there is one.
func (h *Hit) Close() error {
	if h.File == nil {
		return nil
	}
	return h.File.Close()
}

// entry is a place in the index. All fields but the first block are under Store.mu.
type entry struct {
	key    Key
	zone   *zone
	res    *Response
	path   string
	length int64 // of the body
	size   int64 // that it counts as

	copy    []byte // of the body, nil when it is on disk only
	onDisk  node   // in its zone's list
	inMem   node   // in the list of copies
	visited bool   // asked for since the hand passed
	asked   bool   // asked for at all
	warm    bool   // its copy was used since the hand of the copies passed
}
