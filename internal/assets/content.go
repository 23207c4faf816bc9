package assets

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"
	"time"
)

// content is a blob with its encoded variants.
type content struct {
	blob     string
	size     int64
	variants [numEncodings]atomic.Pointer[variant]
	// askAt says when to ask for a variant that was not there, in Unix nanoseconds, and waits how
	// long the last wait was.
	askAt, waits [numEncodings]atomic.Int64
	// links are those of a page that was looked at, see pageLinks.
	links atomic.Pointer[[]string]
	// item is the content's place in the cache, if it has one.
	item *cacheItem
}

// variant is a content in one encoding.
type variant struct {
	blob string
	size int64
	// body is nil for a variant that is sent from its file.
	body []byte
}

// A variant that is not there yet is asked for again after minAskWait, and then after twice the
// time, up to maxAskWait: it may never come.
const (
	minAskWait = time.Second
	maxAskWait = time.Minute
)

// content returns the content of an asset, from the cache if there is one.
func (s *Site) content(e *Entry) *content {
	if s.cache == nil {
		return &content{blob: e.Blob, size: e.Size}
	}
	if it := s.cache.get(0, e.Blob); it != nil {
		return it.content
	}
	c := &content{blob: e.Blob, size: e.Size}
	c.item = &cacheItem{key: cacheKey{0, e.Blob}, content: c}
	return s.cache.put(c.item).content
}

// variant returns a content in an encoding, nil if there is no such variant now.
func (s *Site) variant(c *content, e encoding) (*variant, error) {
	if v := c.variants[e].Load(); v != nil {
		return v, nil
	}
	v := &variant{blob: c.blob, size: c.size}
	if e != identity {
		var ok bool
		if v.blob, v.size, ok = s.ask(c, e); !ok {
			return nil, nil // documented: no variant and no error
		}
	}
	if s.cache == nil || v.size > s.cache.maxBody || v.size == 0 {
		c.variants[e].Store(v)
		return v, nil
	}
	var err error
	if v.body, err = s.read(v); err != nil {
		return nil, err
	}
	if !c.variants[e].CompareAndSwap(nil, v) {
		return c.variants[e].Load(), nil
	}
	s.cache.grow(c.item, v.size)
	return v, nil
}

// ask asks the store for a variant, but not at every request.
func (s *Site) ask(c *content, e encoding) (id string, size int64, ok bool) {
	now := time.Now().UnixNano()
	if now < c.askAt[e].Load() {
		return "", 0, false
	}
	id, size, ok = s.files.Variant(context.Background(), c.blob, e.String())
	if !ok {
		wait := min(max(2*c.waits[e].Load(), int64(minAskWait)), int64(maxAskWait))
		c.waits[e].Store(wait)
		c.askAt[e].Store(now + wait)
	}
	return id, size, ok
}

func (s *Site) read(v *variant) ([]byte, error) {
	f, err := s.files.Open(v.blob)
	if err != nil {
		return nil, fmt.Errorf("open asset content %s: %w", v.blob, err)
	}
	body := make([]byte, v.size)
	_, err = io.ReadFull(f, body)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return nil, fmt.Errorf("read %d bytes of asset content %s: %w", v.size, v.blob, err)
	}
	return body, nil
}

// body returns length bytes of a variant from start.
func (s *Site) body(v *variant, start, length int64) (Body, error) {
	if v.body != nil {
		return Body{Bytes: v.body[start : start+length : start+length], Length: length}, nil
	}
	f, err := s.files.Open(v.blob)
	if err != nil {
		return Body{}, fmt.Errorf("open asset content %s: %w", v.blob, err)
	}
	return Body{File: f, Offset: start, Length: length}, nil
}
