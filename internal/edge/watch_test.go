package edge_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/selvage-dev/selvage/internal/edge"
	"github.com/selvage-dev/selvage/internal/tail"
	"github.com/selvage-dev/selvage/internal/telemetry"
)

// watch opens a tail of the worker of these tests.
func watch(t *testing.T, h *tail.Hub) <-chan map[string]any {
	t.Helper()
	tl, err := h.Open(tail.Script{Account: "acc", Name: "app"}, &tail.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	items := make(chan map[string]any, 16)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		tl.Read(ctx, func(item []byte) bool {
			var m map[string]any
			if err := json.Unmarshal(item, &m); err != nil {
				t.Error(err)
			}
			items <- m
			return true
		})
	}()
	t.Cleanup(func() { cancel(); <-done })
	return items
}

func TestRequestsAreWatched(t *testing.T) {
	var hub *tail.Hub
	var down atomic.Bool
	p := start(t, http.HandlerFunc(hello), func(o *edge.Options, w *worker) {
		hub = o.Tails
		w.acquire = func() error {
			if down.Load() {
				return errors.New("down")
			}
			return nil
		}
	})
	_, _ = p.get("/before")
	items := watch(t, hub)
	resp, _ := p.get("/path?q=1", "X-One: 1", "X-One: 2", "CF-Connecting-IP: 6.6.6.6", "Cookie: a=b")
	var it map[string]any
	select {
	case it = <-items:
	case <-time.After(5 * time.Second):
		t.Fatal("nothing was told")
	}
	event := it["event"].(map[string]any)
	request := event["request"].(map[string]any)
	headers := request["headers"].(map[string]any)
	if it["outcome"] != telemetry.OutcomeOK || it["scriptName"] != "app" || it["scriptVersion"].(map[string]any)["id"] != "v1" || event["rayId"] != resp.Header.Get("CF-Ray") {
		t.Errorf("item %v", it)
	}
	if request["url"] != "http://"+host+"/path?q=1" || request["method"] != "GET" || headers["x-one"] != "1, 2" || headers["cookie"] != "REDACTED" ||
		headers["cf-connecting-ip"] != "127.0.0.1" || headers["host"] != host || event["response"].(map[string]any)["status"] != 200.0 {
		t.Errorf("event %v", event)
	}
	_, _ = p.do("GET / HTTP/1.1\r\nHost: nobody.test\r\n\r\n") // no worker was asked
	down.Store(true)
	_, _ = p.get("/fails")
	select {
	case it = <-items:
	case <-time.After(5 * time.Second):
		t.Fatal("nothing was told")
	}
	if it["outcome"] == telemetry.OutcomeOK || it["event"].(map[string]any)["request"].(map[string]any)["url"] != "http://"+host+"/fails" {
		t.Errorf("item of a request that failed: %v", it)
	}
}
