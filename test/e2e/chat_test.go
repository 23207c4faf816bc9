package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// chatSource is a room whose WebSockets hibernate: each message is stored,
// acknowledged to its sender, and passed on to everyone.
const chatSource = `import { DurableObject } from "cloudflare:workers";
export class Log extends DurableObject {
  constructor(ctx, env) { super(ctx, env); ctx.storage.sql.exec("CREATE TABLE IF NOT EXISTS messages (id TEXT PRIMARY KEY, n INTEGER)"); }
  fetch(request) {
    if (request.headers.get("Upgrade") !== "websocket")
      return Response.json(this.ctx.storage.sql.exec("SELECT id FROM messages ORDER BY n").toArray().map((r) => r.id));
    const pair = new WebSocketPair();
    this.ctx.acceptWebSocket(pair[1]);
    pair[1].serializeAttachment(new URL(request.url).searchParams.get("user"));
    return new Response(null, { status: 101, webSocket: pair[0] });
  }
  webSocketMessage(ws, text) {
    this.ctx.storage.sql.exec("INSERT OR IGNORE INTO messages SELECT ?, coalesce(max(n), 0) + 1 FROM messages", text);
    for (const other of this.ctx.getWebSockets()) other.send(ws.deserializeAttachment() + ":" + text);
  }
  webSocketClose(ws, code) { ws.close(code); }
}
// VERSION
export default { fetch(request, env) { return env.OBJECT.getByName("room").fetch(request); } };`

// socket is a WebSocket client, small and strict.
type socket struct {
	conn net.Conn
	r    *bufio.Reader
}

func (p *platform) connect(t *testing.T, host, path string) (*socket, error) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", p.edgeAddr(t), 5*time.Second)
	if err != nil {
		return nil, err
	}
	conn.SetDeadline(time.Now().Add(60 * time.Second))
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", path, host)
	r := bufio.NewReader(conn)
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		conn.Close()
		return nil, err
	}
	if res.StatusCode != http.StatusSwitchingProtocols {
		body, _ := io.ReadAll(res.Body)
		conn.Close()
		return nil, fmt.Errorf("status %d: %s", res.StatusCode, body)
	}
	return &socket{conn, r}, nil
}

// send sends a short text, or a close frame for opcode 8, masked with zeros.
func (s *socket) send(opcode byte, payload string) error {
	_, err := s.conn.Write(append([]byte{0x80 | opcode, 0x80 | byte(len(payload)), 0, 0, 0, 0}, payload...))
	return err
}

// read returns the next frame.
func (s *socket) read() (opcode byte, payload string, err error) {
	var head [2]byte
	if _, err := io.ReadFull(s.r, head[:]); err != nil {
		return 0, "", err
	}
	b := make([]byte, head[1]&0x7f)
	_, err = io.ReadFull(s.r, b)
	return head[0] & 0xf, string(b), err
}

// chatter sends messages one after the other, each until it comes back, over as
// many connections as that takes.
type chatter struct {
	user   string
	codes  map[int]int // how connections ended
	sent   []string
	resent int
}

func (c *chatter) run(t *testing.T, p *platform, host string, stop <-chan struct{}) {
	t.Helper()
	for i := 0; ; {
		s, err := p.connect(t, host, "/?user="+c.user)
		if err != nil {
			t.Errorf("%s could not connect: %v", c.user, err)
			return
		}
		for {
			select {
			case <-stop:
				s.conn.Close()
				return
			default:
			}
			id := fmt.Sprintf("%s-%d", c.user, i)
			if !c.say(t, s, id) {
				c.resent++
				break
			}
			c.sent = append(c.sent, id)
			i++
		}
		s.conn.Close()
	}
}

// say sends a message and waits until it comes back; false: the connection ended.
func (c *chatter) say(t *testing.T, s *socket, id string) bool {
	t.Helper()
	if s.send(1, id) != nil {
		return false
	}
	for {
		opcode, text, err := s.read()
		switch {
		case err != nil:
			c.codes[1006]++
			return false
		case opcode == 8 && len(text) >= 2:
			c.codes[int(text[0])<<8|int(text[1])]++
			s.send(8, text[:2])
			return false
		case text == c.user+":"+id:
			return true
		}
	}
}

// TestChat deploys under a chat room: WebSockets end with code 1012, clients
// reconnect, and every message that came back is kept, once.
func TestChat(t *testing.T) {
	t.Parallel()
	p := start(t)
	dir := project(t, map[string]string{"wrangler.jsonc": objectsConfig("chat", "Log", ""), "index.js": chatSource})
	p.must(t, dir, "deploy")
	host := p.host("chat")
	stop := make(chan struct{})
	var wg sync.WaitGroup
	all := make([]*chatter, 4)
	for i := range all {
		c := &chatter{user: fmt.Sprintf("user%d", i), codes: make(map[int]int)}
		all[i] = c
		wg.Go(func() { c.run(t, p, host, stop) })
	}
	silent, err := p.connect(t, host, "/?user=silent")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.conn.Close()
	ended := make(chan string, 1)
	go func() { // the silent one hears the others until its connection ends
		for {
			opcode, text, err := silent.read()
			if err != nil || opcode == 8 {
				ended <- fmt.Sprintf("%x %v", text, err)
				return
			}
		}
	}()
	c := p.client(t)
	deploys := rounds(20)
	for i := range deploys {
		time.Sleep(300 * time.Millisecond)
		begin := time.Now()
		if err := redeploy(t, c, "chat", strings.Replace(chatSource, "// VERSION", fmt.Sprintf("// version %d", i), 1)); err != nil {
			t.Fatal(err)
		}
		t.Logf("deploy %d took %v", i, time.Since(begin).Round(time.Millisecond))
		if i == 0 {
			if how := <-ended; !strings.HasPrefix(how, "03f4") {
				t.Errorf("the silent client's WebSocket ended with %s, want close code 1012", how)
			}
		}
	}
	time.Sleep(300 * time.Millisecond)
	close(stop)
	wg.Wait()
	var stored []string
	if err := json.Unmarshal([]byte(p.get(t, host, "/").Body), &stored); err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]int)
	for _, id := range stored {
		seen[id]++
	}
	for _, c := range all {
		t.Logf("%s: %d messages, %d sent again, connections ended with %v", c.user, len(c.sent), c.resent, c.codes)
		if c.codes[1012] < deploys || c.codes[1006] > 0 {
			t.Errorf("%s: connections ended with %v, want code 1012 at each of %d deploys", c.user, c.codes, deploys)
		}
		if len(c.sent) == 0 {
			t.Errorf("%s got no message back", c.user)
		}
		for _, id := range c.sent {
			if seen[id] != 1 {
				t.Errorf("%s came back and is stored %d times", id, seen[id])
			}
		}
	}
}
