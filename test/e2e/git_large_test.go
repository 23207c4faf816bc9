package e2e

import (
	"bytes"
	"compress/flate"
	order "encoding/binary"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestGitPushTooLarge pushes one file of noise that is larger than a push may be, and that is on no disk: it is made
// while it is sent. In full it has 3.2 GB, and the bound is the default of 1 GiB. It is refused with git's own sentence,
// leaves nothing behind, and the site answers all the while.
func TestGitPushTooLarge(t *testing.T) {
	t.Parallel()
	bound, size := int64(4<<20), int64(64<<20)
	args := []string{"--builds-push-size", "4MiB"}
	if os.Getenv("SELVAGE_TEST_FULL") != "" {
		bound, size, args = 1<<30, 3_200_000_000, nil
	}
	p := start(t, args...)
	c := p.site(t, "large", nil, map[string]string{"index.html": "small"})
	c.git(t, "push", "origin", "main")
	before := folderBytes(t, filepath.Join(p.data, "git"))

	answered, stop := p.keepAsking(t, p.pagesHost("", "large"), "small")
	body := &noisePack{head: strings.TrimSpace(c.git(t, "rev-parse", "HEAD")), left: size}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.remote(t, "large", p.Token)+"/git-receive-pack", body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-git-receive-pack-request")
	begun := time.Now()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	said, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d of %d bytes sent in %s, bound %d", size-body.left, size, time.Since(begun).Round(time.Millisecond), bound)
	wantAll(t, string(said), "pack exceeds maximum allowed size")
	if body.left > 0 && size-body.left < bound {
		t.Errorf("only %d bytes were taken, less than the bound", size-body.left)
	}
	stop()
	if n := answered.Load(); n == 0 {
		t.Error("nobody asked the site meanwhile")
	}
	if after := folderBytes(t, filepath.Join(p.data, "git")); after > before+(1<<20) {
		t.Errorf("the repository has grown from %d to %d bytes", before, after)
	}
	// The repository takes the next push.
	rewrite(t, c.dir, "index.html", "small again")
	c.commit(t, "small again")
	c.git(t, "push", "origin", "main")
	if a := p.get(t, p.pagesHost("", "large"), "/"); a.Body != "small again" {
		t.Errorf("the site is %d %q", a.Status, a.Body)
	}
}

func folderBytes(t *testing.T, dir string) (total int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			total += info.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return total
}

// noisePack is the body of a push (gitprotocol-pack(5)): a command and a pack of one object, whose content is noise in
// stored blocks.
type noisePack struct {
	head string // what the branch is at
	left int64  // bytes of the object to come

	buf   bytes.Buffer
	noise *rand.ChaCha8
	z     *flate.Writer
}

func (n *noisePack) Read(p []byte) (int, error) {
	if n.noise == nil {
		n.noise = rand.NewChaCha8([32]byte{1})
		if err := n.begin(); err != nil {
			return 0, err
		}
	}
	for n.buf.Len() == 0 {
		if n.left == 0 {
			return 0, io.EOF // without the checksums: nobody gets as far as that
		}
		block := make([]byte, min(n.left, 256<<10))
		n.noise.Read(block)
		if _, err := n.z.Write(block); err != nil {
			return 0, err
		}
		if err := n.z.Flush(); err != nil {
			return 0, err
		}
		n.left -= int64(len(block))
	}
	return n.buf.Read(p)
}

func (n *noisePack) begin() (err error) {
	command := fmt.Sprintf("%s %s refs/heads/main\x00 report-status side-band-64k", n.head, strings.Repeat("1", 40))
	fmt.Fprintf(&n.buf, "%04x%s0000PACK", len(command)+4, command)
	n.buf.Write(order.BigEndian.AppendUint32(order.BigEndian.AppendUint32(nil, 2), 1)) // version 2, one object
	const blob = 3
	first, rest := byte(n.left&15)|blob<<4, n.left>>4
	for ; rest > 0; rest >>= 7 {
		n.buf.WriteByte(first | 0x80)
		first = byte(rest & 0x7f)
	}
	n.buf.WriteByte(first)
	n.buf.Write([]byte{0x78, 0x01}) // zlib, RFC 1950
	n.z, err = flate.NewWriter(&n.buf, flate.NoCompression)
	return err
}

// keepAsking asks a host for its page until stop is called, and counts the answers, of which each must be 200 and want.
func (p *platform) keepAsking(t *testing.T, host, want string) (answered *atomic.Int64, stop func()) {
	t.Helper()
	answered = new(atomic.Int64)
	var over atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() {
		for !over.Load() {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.EdgeURL+"/", nil)
			if err != nil {
				t.Error(err)
				return
			}
			req.Host = host
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Errorf("%s: %v", host, err)
				return
			}
			body, err := io.ReadAll(res.Body)
			res.Body.Close()
			if err != nil || res.StatusCode != http.StatusOK || string(body) != want {
				t.Errorf("%s answers %d %q, %v", host, res.StatusCode, body, err)
				return
			}
			answered.Add(1)
			time.Sleep(5 * time.Millisecond)
		}
	})
	stopped := sync.OnceFunc(func() {
		over.Store(true)
		wg.Wait()
	})
	t.Cleanup(stopped)
	return answered, stopped
}
