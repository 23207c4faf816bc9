package e2e

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// browser is a headless Chromium with one page, driven by the Chrome DevTools Protocol.
type browser struct {
	t    *testing.T
	conn *websocket.Conn
	id   int
	// said is what pages logged as errors: exceptions, console.error, files that did not load.
	said []string
}

// openBrowser fails where no Chromium is: a site that nobody has looked at is not known to work. What prepares its
// home runs before it starts.
func openBrowser(t *testing.T, prepare ...func(home string)) *browser {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatalf("%v: on Debian, apt-get install chromium (scripts/test-needs does it)", err)
	}
	profile := t.TempDir()
	for _, fn := range prepare {
		fn(profile)
	}
	args := []string{
		"--headless", "--remote-debugging-port=0", "--user-data-dir=" + profile, "--no-first-run", "--disable-gpu", "--disable-dev-shm-usage",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--window-size=900,600", "about:blank",
	}
	if os.Getuid() == 0 {
		args = append([]string{"--no-sandbox"}, args...) // which it cannot have as root
	}
	stderr := &lockedBuffer{}
	cmd := exec.Command(path, args...)
	cmd.Env, cmd.Stderr = append(os.Environ(), "HOME="+profile), stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // its profile is thrown away
		_ = cmd.Wait()
	})
	var port string
	for end := time.Now().Add(30 * time.Second); port == "" && time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		b, _ := os.ReadFile(filepath.Join(profile, "DevToolsActivePort"))
		port, _, _ = strings.Cut(string(b), "\n")
	}
	if port == "" {
		t.Fatalf("chromium does not listen:\n%s", tail(stderr.String(), 2000))
	}
	var pages []struct {
		Type string `json:"type"`
		URL  string `json:"webSocketDebuggerUrl"`
	}
	res, err := http.Get("http://127.0.0.1:" + port + "/json/list")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(&pages); err != nil {
		t.Fatal(err)
	}
	b := &browser{t: t}
	for _, page := range pages {
		if page.Type != "page" {
			continue
		}
		if b.conn, _, err = websocket.Dial(t.Context(), page.URL, nil); err != nil {
			t.Fatal(err)
		}
		break
	}
	if b.conn == nil {
		t.Fatalf("chromium has no page: %v", pages)
	}
	b.conn.SetReadLimit(64 << 20)
	t.Cleanup(func() { _ = b.conn.CloseNow() })
	for _, domain := range []string{"Page", "Runtime", "Log"} {
		b.call(domain+".enable", nil, nil)
	}
	return b
}

// call sends one command and reads until its answer comes.
func (b *browser) call(method string, params, out any) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 30*time.Second)
	defer cancel()
	b.id++
	text, err := json.Marshal(map[string]any{"id": b.id, "method": method, "params": params})
	if err != nil {
		b.t.Fatal(err)
	}
	if err := b.conn.Write(ctx, websocket.MessageText, text); err != nil {
		b.t.Fatalf("%s: %v", method, err)
	}
	for {
		var m struct {
			ID     int             `json:"id"`
			Method string          `json:"method"`
			Params json.RawMessage `json:"params"`
			Result json.RawMessage `json:"result"`
			Error  json.RawMessage `json:"error"`
		}
		_, text, err := b.conn.Read(ctx)
		if err != nil {
			b.t.Fatalf("%s: %v", method, err)
		}
		if err := json.Unmarshal(text, &m); err != nil {
			b.t.Fatalf("%s: %v", method, err)
		}
		b.note(m.Method, m.Params)
		if m.ID != b.id {
			continue
		}
		if m.Error != nil {
			b.t.Fatalf("%s: %s", method, m.Error)
		}
		if out != nil {
			if err := json.Unmarshal(m.Result, out); err != nil {
				b.t.Fatalf("%s: %v", method, err)
			}
		}
		return
	}
}

// note keeps what a page complains of.
func (b *browser) note(method string, params json.RawMessage) {
	var p struct {
		Type  string `json:"type"`
		Entry struct {
			Level string `json:"level"`
		} `json:"entry"`
	}
	_ = json.Unmarshal(params, &p) // Of other events there is nothing to keep.
	if method == "Runtime.exceptionThrown" || method == "Runtime.consoleAPICalled" && p.Type == "error" || method == "Log.entryAdded" && p.Entry.Level == "error" {
		b.said = append(b.said, fmt.Sprintf("%s: %s", method, params))
	}
}

// open loads a page.
func (b *browser) open(url string) {
	b.t.Helper()
	if why := b.tryOpen(url); why != "" {
		b.t.Fatalf("%s: %s", url, why)
	}
}

// tryOpen loads a page and returns why it did not load, "" if it did.
func (b *browser) tryOpen(url string) string {
	b.t.Helper()
	var out struct{ ErrorText string }
	b.call("Page.navigate", map[string]any{"url": url}, &out)
	return out.ErrorText
}

// js evaluates an expression in the page, waits if it is a promise, and returns what it gives as text.
func (b *browser) js(expression string) string {
	b.t.Helper()
	var out struct {
		Result    struct{ Value any }
		Exception json.RawMessage `json:"exceptionDetails"`
	}
	b.call("Runtime.evaluate", map[string]any{"expression": expression, "awaitPromise": true, "returnByValue": true}, &out)
	if out.Exception != nil {
		return "exception: " + string(out.Exception)
	}
	return fmt.Sprint(out.Result.Value)
}

// wait waits until an expression gives want.
func (b *browser) wait(expression, want string) {
	b.t.Helper()
	var got string
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if got = b.js(expression); got == want {
			return
		}
	}
	b.t.Fatalf("%s gives %q, want %q; the page is\n%.2000s\nand said %q", expression, got, want, b.js("document.documentElement.outerHTML"), b.said)
}

// screenshot keeps what the page looks like with the test's artifacts (go test -artifacts).
func (b *browser) screenshot(name string) {
	b.t.Helper()
	var out struct{ Data string }
	b.call("Page.captureScreenshot", map[string]any{"format": "png"}, &out)
	png, err := base64.StdEncoding.DecodeString(out.Data)
	if err == nil {
		err = os.WriteFile(filepath.Join(b.t.ArtifactDir(), name+".png"), png, 0o600)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}
