package kv_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/selvage-dev/selvage/internal/kv"
)

// BenchmarkPutSizes is where InlineSize comes from: new values of each size, from
// eight writers, in the rows and in files.
func BenchmarkPutSizes(b *testing.B) {
	for _, size := range []int{1 << 10, 16 << 10, 32 << 10, 64 << 10, 128 << 10, 256 << 10} {
		for name, inline := range map[string]int64{"row": 1 << 30, "file": 0} {
			b.Run(fmt.Sprintf("%dKiB/%s", size>>10, name), func(b *testing.B) {
				f := open(b, b.TempDir(), nil)
				kv.SetInlineSize(f.Service, inline)
				b.SetBytes(int64(size))
				benchPuts(b, f, 8, strings.Repeat("x", size))
			})
		}
	}
}

// BenchmarkPut is a put of 1,000 bytes.
func BenchmarkPut(b *testing.B) {
	for _, writers := range []int{1, 8, 32} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			benchPuts(b, open(b, b.TempDir(), nil), writers, strings.Repeat("x", 1000))
		})
	}
}

func benchPuts(b *testing.B, f *fixture, writers int, value string) {
	b.Helper()
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ResetTimer()
	for range writers {
		wg.Go(func() {
			for {
				n := next.Add(1)
				if n > int64(b.N) {
					return
				}
				v, err := f.Stage(context.Background(), account, f.ns, strings.NewReader(value), int64(len(value)))
				if err == nil {
					err = f.Put(context.Background(), account, f.ns, kv.Pair{Key: strconv.FormatInt(n, 10), Value: v})
				}
				if err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// BenchmarkGet reads values of 1,000 bytes, from the cache and from the database.
func BenchmarkGet(b *testing.B) {
	for name, cache := range map[string]int64{"cached": 32 << 20, "database": 1} {
		b.Run(name, func(b *testing.B) {
			f := open(b, b.TempDir(), func(o *kv.Options) { o.CacheBytes = cache })
			keys := make([]string, 1000)
			for i := range keys {
				keys[i] = fmt.Sprint("key", i)
				f.put(keys[i], strings.Repeat("x", 1000))
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, ok, err := f.Get(b.Context(), account, f.ns, keys[i%len(keys)]); err != nil || !ok {
					b.Fatal(ok, err)
				}
			}
		})
	}
}
