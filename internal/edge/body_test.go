package edge_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"testing"
)

func TestBodies(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/sum", func(w http.ResponseWriter, r *http.Request) {
		h := sha256.New()
		n, err := io.Copy(h, r.Body)
		fmt.Fprintf(w, "%d %x %v %v", n, h.Sum(nil), err, r.Trailer.Get("X-Check"))
	})
	mux.HandleFunc("/big", func(w http.ResponseWriter, r *http.Request) {
		part := bytes.Repeat([]byte("0123456789abcdef"), 4096)
		if r.URL.RawQuery == "length" {
			w.Header().Set("Content-Length", fmt.Sprint(512*len(part)))
		}
		w.Header().Set("Trailer", "X-Sum")
		for range 512 {
			_, _ = w.Write(part)
		}
		w.Header().Set("X-Sum", "42")
	})
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		_ = rc.EnableFullDuplex()
		_ = rc.Flush()
		buf := make([]byte, 1024)
		for {
			n, err := r.Body.Read(buf)
			_, _ = w.Write(buf[:n])
			_ = rc.Flush()
			if err != nil {
				return
			}
		}
	})
	p := start(t, mux)
	data := make([]byte, 3<<20)
	_, _ = rand.Read(data)
	want := fmt.Sprintf("%d %x <nil> ", len(data), sha256.Sum256(data))

	t.Run("up with a length", func(t *testing.T) {
		c := p.dial()
		for range 2 {
			c.send(fmt.Sprintf("PUT /sum HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n", host, len(data)))
			c.send(string(data))
			if _, body := c.answer("PUT"); body != want {
				t.Errorf("got %.80s", body)
			}
		}
	})
	t.Run("up in chunks with trailers", func(t *testing.T) {
		c := p.dial()
		for range 2 {
			c.send("PUT /sum HTTP/1.1\r\nHost: " + host + "\r\nTransfer-Encoding: chunked\r\nTrailer: X-Check\r\n\r\n")
			for rest := data; len(rest) > 0; {
				n := min(len(rest), 70_001)
				c.send(fmt.Sprintf("%x;ext=1\r\n%s\r\n", n, rest[:n]))
				rest = rest[n:]
			}
			c.send("0\r\nX-Check: good\r\nContent-Length: 1\r\n\r\n")
			if _, body := c.answer("PUT"); body != want+"good" {
				t.Errorf("got %.120s", body)
			}
		}
	})
	for _, path := range []string{"/big", "/big?length"} {
		t.Run("down "+path, func(t *testing.T) {
			c := p.dial()
			c.send("GET " + path + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n")
			resp := c.head("GET")
			n, err := io.Copy(io.Discard, resp.Body)
			if n != 32<<20 || err != nil {
				t.Errorf("%d bytes, %v", n, err)
			}
			if path == "/big" && resp.Trailer.Get("X-Sum") != "42" {
				t.Errorf("trailers: %v", resp.Trailer)
			}
		})
	}
	t.Run("both ways at once", func(t *testing.T) {
		c := p.dial()
		c.send("POST /echo HTTP/1.1\r\nHost: " + host + "\r\nTransfer-Encoding: chunked\r\n\r\n")
		resp := c.head("POST")
		for i := range 5 {
			word := fmt.Sprintf("word %d", i)
			c.send(fmt.Sprintf("%x\r\n%s\r\n", len(word), word))
			got := make([]byte, len(word))
			if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != word {
				t.Fatalf("%q, %v", got, err)
			}
		}
		c.send("0\r\n\r\n")
		if rest, err := io.ReadAll(resp.Body); err != nil || len(rest) > 0 {
			t.Errorf("%q, %v", rest, err)
		}
		c.send("GET /sum HTTP/1.1\r\nHost: " + host + "\r\n\r\n") // the connection goes on
		if resp, _ := c.answer("GET"); resp.StatusCode != http.StatusOK {
			t.Errorf("%d", resp.StatusCode)
		}
	})
}

func TestAnswerBeforeTheBodyEnds(t *testing.T) {
	p := start(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, "no need")
	}))
	c := p.dial()
	c.send("POST / HTTP/1.1\r\nHost: " + host + "\r\nContent-Length: 50000000\r\n\r\nfirst bytes")
	if resp, body := c.answer("POST"); resp.StatusCode != http.StatusForbidden || body != "no need" {
		t.Errorf("%d %q", resp.StatusCode, body)
	}
	c.closed()
}

func TestExpect(t *testing.T) {
	p := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "got %s %q", b, r.Header.Get("Expect"))
	}))
	t.Run("wanted", func(t *testing.T) {
		c := p.dial()
		c.send("POST / HTTP/1.1\r\nHost: " + host + "\r\nContent-Length: 3\r\nExpect: 100-Continue\r\n\r\n")
		if resp := c.head("POST"); resp.StatusCode != http.StatusContinue {
			t.Fatalf("%d", resp.StatusCode)
		}
		c.send("abc")
		if _, body := c.answer("POST"); body != `got abc ""` {
			t.Errorf("%q", body)
		}
	})
	t.Run("not wanted", func(t *testing.T) {
		c := p.dial()
		c.send("POST / HTTP/1.1\r\nHost: nobody.test\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
		if resp, _ := c.answer("POST"); resp.StatusCode != http.StatusNotFound || !resp.Close {
			t.Errorf("%d, close %v", resp.StatusCode, resp.Close)
		}
		c.closed()
	})
	t.Run("unknown", func(t *testing.T) {
		if resp, _ := p.do("POST / HTTP/1.1\r\nHost: " + host + "\r\nContent-Length: 3\r\nExpect: tea\r\n\r\n"); resp.StatusCode != http.StatusExpectationFailed {
			t.Errorf("%d", resp.StatusCode)
		}
	})
}
