package http1

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httputil"
	"net/textproto"
	"net/url"
	"strings"
	"testing"

	"github.com/selvage-dev/selvage/internal/edge/wire"
)

// read parses one request, head and body, out of a stream that holds all there is.
func read(stream []byte) (r *wire.Request, h requestHead, body []byte, complete bool, f wire.Fault) {
	l := Limits{}.Defaults()
	var s scanner
	end, f := s.next(stream, l.head())
	if f != wire.NoFault || end == 0 {
		return nil, h, nil, false, f
	}
	r = &wire.Request{}
	if f = parseRequest(stream[:end], r, &h); f != wire.NoFault {
		return nil, h, nil, false, f
	}
	rest := stream[end:]
	if r.Length >= 0 {
		n := min(r.Length, int64(len(rest)))
		return r, h, rest[:n], n == r.Length, wire.NoFault
	}
	var d Chunked
	for len(rest) > 0 && !d.Done() {
		n, data, f := d.Next(rest)
		if f != wire.NoFault {
			return r, h, body, false, f
		}
		body = append(body, data...)
		rest = rest[n:]
	}
	return r, h, body, d.Done(), wire.NoFault
}

func TestRequestSyntax(t *testing.T) {
	const get = "GET / HTTP/1.1\r\nHost: a\r\n"
	const post = "POST / HTTP/1.1\r\nHost: a\r\n"
	const te = post + "Transfer-Encoding: chunked\r\n\r\n"
	tests := []struct {
		name, in string
		want     wire.Fault
	}{
		{"plain", get + "\r\n", wire.NoFault},
		{"any method token", "BREW-IT /pot HTTP/1.1\r\nHost: a\r\n\r\n", wire.NoFault},
		{"absolute form", "GET http://b/x?y HTTP/1.1\r\nHost: a\r\n\r\n", wire.NoFault},
		{"asterisk", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", wire.NoFault},
		{"1.0 without host", "GET / HTTP/1.0\r\n\r\n", wire.NoFault},
		{"empty line first", "\r\n" + get + "\r\n", wire.NoFault},
		{"IPv6 host", "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", wire.NoFault},
		{"obs-text and tab in a value", get + "X: a\tb\xff\r\n\r\n", wire.NoFault},
		{"empty value", get + "X:\r\n\r\n", wire.NoFault},

		{"two empty lines first", "\r\n\r\n" + get + "\r\n", wire.BadRequestLine},
		{"no target", "GET HTTP/1.1\r\nHost: a\r\n\r\n", wire.BadRequestLine},
		{"two spaces", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", wire.BadRequestLine},
		{"tab as space", "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", wire.BadRequestLine},
		{"space in target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", wire.BadRequestLine},
		{"fragment", "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", wire.BadRequestLine},
		{"NUL in target", "GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n", wire.BadRequestLine},
		{"method with a separator", "GE(T / HTTP/1.1\r\nHost: a\r\n\r\n", wire.BadRequestLine},
		{"0.9", "GET /\r\n\r\n", wire.BadRequestLine},
		{"lower-case version", "GET / http/1.1\r\nHost: a\r\n\r\n", wire.BadRequestLine},
		{"version with junk", "GET / HTTP/1.1x\r\nHost: a\r\n\r\n", wire.BadRequestLine},
		{"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\n", wire.BadVersion},
		{"HTTP/1.2", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", wire.BadVersion},
		{"relative target", "GET a/b HTTP/1.1\r\nHost: a\r\n\r\n", wire.BadTarget},
		{"other scheme", "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", wire.BadTarget},
		{"asterisk with GET", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", wire.BadTarget},
		{"absolute form, empty authority", "GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n", wire.BadTarget},

		{"no host", "GET / HTTP/1.1\r\n\r\n", wire.MissingHost},
		{"two hosts", get + "Host: b\r\n\r\n", wire.BadHost},
		{"same host twice", get + "Host: a\r\n\r\n", wire.BadHost},
		{"empty host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", wire.BadHost},
		{"list of hosts", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", wire.BadHost},
		{"host with path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", wire.BadHost},
		{"host with user", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", wire.BadHost},
		{"user in authority", "GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n", wire.BadHost},
		{"host with a port that is none", "GET / HTTP/1.1\r\nHost: a:80x\r\n\r\n", wire.BadHost},
		{"absolute form does not excuse Host", "GET http://a/ HTTP/1.1\r\n\r\n", wire.MissingHost},

		{"bare LF after the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n", wire.BareLineFeed},
		{"bare LF at the end", get + "\n", wire.BareLineFeed},
		{"bare CR in a value", get + "X: a\rb\r\n\r\n", wire.BadFieldValue},
		{"NUL in a value", get + "X: a\x00b\r\n\r\n", wire.BadFieldValue},
		{"DEL in a value", get + "X: a\x7fb\r\n\r\n", wire.BadFieldValue},
		{"fold", get + "X: a\r\n b\r\n\r\n", wire.FoldedField},
		{"fold with a tab", get + "X: a\r\n\tb\r\n\r\n", wire.FoldedField},
		{"fold in the first field", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", wire.FoldedField},
		{"space before colon", post + "Content-Length : 3\r\n\r\nabc", wire.BadFieldName},
		{"tab before colon", post + "Transfer-Encoding\t: chunked\r\n\r\n", wire.BadFieldName},
		{"no colon", get + "X\r\n\r\n", wire.BadFieldName},
		{"no name", get + ": x\r\n\r\n", wire.BadFieldName},
		{"NUL in a name", get + "X\x00: x\r\n\r\n", wire.BadFieldName},
		{"byte beyond ASCII in a name", get + "X\xe9: x\r\n\r\n", wire.BadFieldName},
		{"lone CR as an empty line", get + "\r\rX: 1\r\n\r\n", wire.BadFieldName},

		{"CL.TE", post + "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG", wire.AmbiguousLength},
		{"TE.CL", post + "Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\nG", wire.AmbiguousLength},
		{"CL twice", post + "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", wire.BadContentLength},
		{"CL twice the same", post + "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", wire.BadContentLength},
		{"CL list", post + "Content-Length: 3, 3\r\n\r\nabc", wire.BadContentLength},
		{"CL signed", post + "Content-Length: +3\r\n\r\nabc", wire.BadContentLength},
		{"CL negative", post + "Content-Length: -3\r\n\r\nabc", wire.BadContentLength},
		{"CL hexadecimal", post + "Content-Length: 0x3\r\n\r\nabc", wire.BadContentLength},
		{"CL with an underscore", post + "Content-Length: 1_0\r\n\r\nabc", wire.BadContentLength},
		{"CL empty", post + "Content-Length:\r\n\r\n", wire.BadContentLength},
		{"CL overflows", post + "Content-Length: 18446744073709551619\r\n\r\n", wire.BadContentLength},
		{"CL with other digits", post + "Content-Length: \u0663\r\n\r\n", wire.BadContentLength},
		{"TE twice", post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", wire.BadTransferEncoding},
		{"TE.TE", post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n", wire.BadTransferEncoding},
		{"TE xchunked", post + "Transfer-Encoding: xchunked\r\n\r\n", wire.BadTransferEncoding},
		{"TE list", post + "Transfer-Encoding: gzip, chunked\r\n\r\n", wire.BadTransferEncoding},
		{"TE chunked chunked", post + "Transfer-Encoding: chunked, chunked\r\n\r\n", wire.BadTransferEncoding},
		{"TE quoted", post + "Transfer-Encoding: \"chunked\"\r\n\r\n", wire.BadTransferEncoding},
		{"TE with a parameter", post + "Transfer-Encoding: chunked;q=1\r\n\r\n", wire.BadTransferEncoding},
		{"TE with vertical tab", post + "Transfer-Encoding: \x0bchunked\r\n\r\n", wire.BadFieldValue},
		{"TE empty", post + "Transfer-Encoding:\r\n\r\n", wire.BadTransferEncoding},
		{"TE in HTTP/1.0", "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", wire.BadTransferEncoding},
		{"unknown expectation", get + "Expect: miracles\r\n\r\n", wire.BadExpectation},

		{"chunks", te + "3\r\nabc\r\nA;x=\"y\"\r\n0123456789\r\n0\r\nX: y\r\n\r\n", wire.NoFault},
		{"chunk size with 0x", te + "0x3\r\nabc\r\n0\r\n\r\n", wire.BadChunk},
		{"chunk size negative", te + "-3\r\nabc\r\n0\r\n\r\n", wire.BadChunk},
		{"chunk size with plus", te + "+3\r\nabc\r\n0\r\n\r\n", wire.BadChunk},
		{"chunk size empty", te + "\r\nabc\r\n0\r\n\r\n", wire.BadChunk},
		{"chunk size with a space before", te + " 3\r\nabc\r\n0\r\n\r\n", wire.BadChunk},
		{"chunk size with a space after", te + "3 \r\nabc\r\n0\r\n\r\n", wire.BadChunk},
		{"chunk size overflows", te + "10000000000000003\r\nabc\r\n0\r\n\r\n", wire.BadChunk},
		{"chunk size of zeros", te + "0000000000000000\r\n\r\n", wire.BadChunk},
		{"chunk size ends in LF", te + "3\nabc\r\n0\r\n\r\n", wire.BadChunk},
		{"chunk size ends in CR", te + "3\rabc\r\n0\r\n\r\n", wire.BadChunk},
		{"chunk data ends in LF", te + "3\r\nabc\n0\r\n\r\n", wire.BadChunk},
		{"chunk data too long", te + "3\r\nabcd\r\n0\r\n\r\n", wire.BadChunk},
		{"chunk data without an end", te + "3\r\nabc0\r\n\r\n", wire.BadChunk},
		{"extension with LF", te + "3;a\nb\r\nabc\r\n0\r\n\r\n", wire.BadChunk},
		{"extension with CR in quotes", te + "3;a=\"\r\n\"\r\nabc\r\n0\r\n\r\n", wire.BadChunk},
		{"extension too long", te + "3;" + strings.Repeat("a", 300) + "\r\nabc\r\n0\r\n\r\n", wire.BadChunk},
		{"extensions without data", te + strings.Repeat("1;"+strings.Repeat("a", 200)+"\r\nx\r\n", 100) + "0\r\n\r\n", wire.BadChunk},
		{"trailer with a space before colon", te + "0\r\nX : y\r\n\r\n", wire.BadTrailer},
		{"trailer folded", te + "0\r\nX: y\r\n z\r\n\r\n", wire.BadTrailer},
		{"trailer with LF", te + "0\r\nX: y\n\r\n", wire.BadTrailer},
		{"trailers too large", te + "0\r\nX: " + strings.Repeat("y", 20<<10) + "\r\n\r\n", wire.BadTrailer},

		{"target too long", "GET /" + strings.Repeat("a", 17<<10) + " HTTP/1.1\r\nHost: a\r\n\r\n", wire.TargetTooLong},
		{"target too long, no end", "GET /" + strings.Repeat("a", 17<<10), wire.TargetTooLong},
		{"head too large", get + "X: " + strings.Repeat("a", 65<<10) + "\r\n\r\n", wire.HeadTooLarge},
		{"too many fields", get + strings.Repeat("X: a\r\n", 200) + "\r\n", wire.TooManyFields},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, _, _, _, f := read([]byte(tt.in)); f != tt.want {
				t.Errorf("got %q, want %q", f, tt.want)
			}
		})
	}
}

func TestFieldsThatEndAtTheConnection(t *testing.T) {
	r, h, _, _, f := read([]byte("GET /x HTTP/1.1\r\nHost: a\r\nConnection: x-mine, Upgrade\r\nX-Mine: 1\r\nX-Yours: 2\r\n" +
		"Keep-Alive: 5\r\nTE: trailers\r\nUpgrade: websocket\r\nProxy-Authorization: p\r\nProxy-Connection: close\r\n\r\n"))
	if f != wire.NoFault {
		t.Fatal(f)
	}
	var kept []string
	for _, field := range r.Fields {
		if !field.Drop {
			kept = append(kept, field.Name)
		}
	}
	if len(kept) != 1 || kept[0] != "X-Yours" {
		t.Errorf("passed on: %q", kept)
	}
	if !h.keepAlive || r.Upgrade != "websocket" {
		t.Errorf("keepAlive %v, upgrade %q", h.keepAlive, r.Upgrade)
	}
}

// FuzzRequest holds that what is accepted here means the same to net/http, so
// that nothing can be smuggled past one of them.
func FuzzRequest(f *testing.F) {
	for _, seed := range []string{
		"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST http://h:8/p?q HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\nT: 1\r\n\r\nGET",
		"\r\nGET /%41 HTTP/1.0\r\nConnection: keep-alive\r\nX: \t y \r\n\r\n",
		"OPTIONS * HTTP/1.1\r\nHost: [::1]:80\r\nExpect: 100-continue\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG",
		"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\x0bchunked\r\nX: a\r\n b\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		ours, h, body, complete, fault := read(bytes.Clone(in))
		if fault != wire.NoFault || ours == nil || ours.Method == http.MethodConnect || ours.Field(wire.Trailer) != "" {
			return // net/http has its own opinion on what a Trailer field may name
		}
		theirs, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(bytes.TrimPrefix(in, []byte("\r\n")))))
		if _, ok := errors.AsType[*url.Error](err); ok {
			return // "%zz" in a path: a worker may have it
		}
		if err != nil {
			t.Fatalf("accepted what net/http refuses: %v", err)
		}
		if theirs.Method != ours.Method || theirs.Host != ours.Host || theirs.Proto != ours.Proto {
			t.Fatalf("%s %s %s, net/http: %s %s %s", ours.Method, ours.Host, ours.Proto, theirs.Method, theirs.Host, theirs.Proto)
		}
		if ours.Target != theirs.RequestURI && !strings.HasSuffix(theirs.RequestURI, ours.Target) && ours.Target != "/" {
			t.Fatalf("target %q, net/http: %q", ours.Target, theirs.RequestURI)
		}
		if theirs.ContentLength != ours.Length {
			t.Fatalf("length %d, net/http: %d", ours.Length, theirs.ContentLength)
		}
		if h.keepAlive && theirs.Close {
			t.Fatal("kept open where net/http closes")
		}
		compareFields(t, ours, theirs)
		got, err := io.ReadAll(theirs.Body)
		if complete && (err != nil || !bytes.Equal(got, body)) {
			t.Fatalf("body %q, net/http: %q, %v", body, got, err)
		}
	})
}

func compareFields(t *testing.T, ours *wire.Request, theirs *http.Request) {
	t.Helper()
	seen := map[string]int{}
	for _, f := range ours.Fields {
		name := textproto.CanonicalMIMEHeaderKey(f.Name)
		if f.Known == wire.TransferEncoding || name == "Cache-Control" {
			continue // net/http keeps the one elsewhere and makes the other up for Pragma
		}
		values := theirs.Header[name]
		if i := seen[name]; i >= len(values) || values[i] != f.Value {
			t.Fatalf("field %q: %q, net/http: %q", name, f.Value, values)
		}
		seen[name]++
	}
}

// FuzzChunked holds that the decoder agrees with net/http's, and that it does not
// matter in which pieces a body arrives.
func FuzzChunked(f *testing.F) {
	for _, seed := range []string{"0\r\n\r\n", "3\r\nabc\r\n0\r\nX: y\r\n\r\n", "a;x=\"y\\\"\"\r\n0123456789\r\n00\r\n\r\nrest", "fffffffffffffff\r\n", "3\nabc"} {
		f.Add([]byte(seed), uint8(1))
	}
	f.Fuzz(func(t *testing.T, in []byte, step uint8) {
		whole, used, fault := decode(in, len(in))
		pieces, usedToo, faultToo := decode(in, int(step)%7+1)
		if !bytes.Equal(whole, pieces) || fault != faultToo || used != usedToo {
			t.Fatalf("whole: %q %d %v, in pieces: %q %d %v", whole, used, fault, pieces, usedToo, faultToo)
		}
		if fault != wire.NoFault || used < 0 {
			return
		}
		theirs, err := io.ReadAll(httputil.NewChunkedReader(bytes.NewReader(in)))
		if err != nil || !bytes.Equal(theirs, whole) {
			t.Fatalf("%q, net/http: %q, %v", whole, theirs, err)
		}
	})
}

// decode returns the data and how many bytes the body took, -1 if it did not end.
func decode(in []byte, step int) (data []byte, used int, f wire.Fault) {
	var d Chunked
	for used < len(in) && !d.Done() {
		n, piece, f := d.Next(in[used:min(len(in), used+max(step, 1))])
		if f != wire.NoFault {
			return data, used + n, f
		}
		data = append(data, piece...)
		used += n
	}
	if !d.Done() {
		return data, -1, wire.NoFault
	}
	for _, field := range d.Trailers() {
		if field.Known != wire.Other {
			panic("a trailer that decides on framing came through: " + field.Name)
		}
	}
	return data, used, wire.NoFault
}

// FuzzResponseHead holds that what is accepted from a worker means the same to
// net/http, however it arrives.
func FuzzResponseHead(f *testing.F) {
	for _, seed := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
		"HTTP/1.0 404 \r\nX: y\r\n\r\n",
		"HTTP/1.1 101\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
		"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("y", 100) + "\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var h, small ResponseHead
		err := h.Read(bufio.NewReaderSize(bytes.NewReader(in), len(in)+16), 4<<10)
		errSmall := small.Read(bufio.NewReaderSize(bytes.NewReader(in), 16), 4<<10)
		if (err == nil) != (errSmall == nil) || err == nil && (h.Status != small.Status || h.Length != small.Length || len(h.Fields) != len(small.Fields)) {
			t.Fatalf("in one piece: %+v, %v; through a small buffer: %+v, %v", h, err, small, errSmall)
		}
		if err != nil {
			return
		}
		theirs, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(in)), nil)
		if err != nil {
			if h.Upgrade == "" && strings.Contains(err.Error(), "trailer") {
				return
			}
			t.Fatalf("accepted what net/http refuses: %v", err)
		}
		defer theirs.Body.Close()
		if theirs.StatusCode != h.Status {
			t.Fatalf("status %d, net/http: %d", h.Status, theirs.StatusCode)
		}
		if h.Status >= 200 && h.Status != 204 && h.Status != 304 && h.Length >= 0 && theirs.ContentLength != h.Length {
			t.Fatalf("length %d, net/http: %d", h.Length, theirs.ContentLength)
		}
	})
}

func TestLongResponseHead(t *testing.T) {
	long := "HTTP/1.1 200 OK\r\n" + strings.Repeat("Set-Cookie: "+strings.Repeat("c", 3000)+"\r\n", 20) + "Content-Length: 2\r\n\r\nok"
	br := bufio.NewReaderSize(strings.NewReader(long), 4096)
	var h ResponseHead
	if err := h.Read(br, 128<<10); err != nil {
		t.Fatal(err)
	}
	if len(h.Fields) != 21 || h.Length != 2 {
		t.Errorf("%d fields, length %d", len(h.Fields), h.Length)
	}
	if rest, _ := io.ReadAll(br); string(rest) != "ok" {
		t.Errorf("left %q", rest)
	}
	if err := h.Read(bufio.NewReaderSize(strings.NewReader(long), 4096), 32<<10); !errors.Is(err, ErrHeadTooLarge) {
		t.Errorf("beyond the limit: %v", err)
	}
}
