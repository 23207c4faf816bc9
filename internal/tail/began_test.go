package tail_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/selvage-dev/selvage/internal/tail"
)

// TestBegan holds what becomes of an invocation of which only the process tells.
func TestBegan(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, event string
		finished    *tail.Line
		thrown      bool
		want        string // entrypoint, model, outcome, event; "" when there is no item
	}{
		{"method", `{"rpcMethod":"add"}`, &tail.Line{Finished: true}, false, `default stateless ok map[rpcMethod:add]`},
		{"method that throws", `{"rpcMethod":"add"}`, &tail.Line{Finished: true}, true, `default stateless exception map[rpcMethod:add]`},
		{"method of an object", `{"rpcMethod":"add","object":true}`, &tail.Line{Finished: true}, false, `default durableObject ok map[rpcMethod:add]`},
		{"alarm", `{"scheduledTime":1795561370836,"object":true}`, &tail.Line{Finished: true}, false, `<nil> durableObject ok map[scheduledTime:2026-11-24T23:02:50.836Z]`},
		{
			"request", `{"request":{"url":"http://x/","method":"PUT","headers":{"a":"b"},"cf":{}}}`, &tail.Line{Finished: true, Status: 204}, false,
			`<nil> stateless ok map[rayId:0123456789abcdef/1 request:map[cf:map[] headers:map[a:b] method:PUT url:http://x/] response:map[status:204]]`,
		},
		{"never heard of again", `{"rpcMethod":"add"}`, nil, false, `default stateless unknown map[rpcMethod:add]`},
		{"nothing that is known", `{"other":1}`, &tail.Line{Finished: true}, false, ""},
		{"no JSON", `{`, &tail.Line{Finished: true}, false, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const id = "0123456789abcdef/1"
				h := tail.New(tail.Options{})
				r := open(t, h, `{"filters":[]}`)
				h.Began("a", "app", "v", id, "", json.RawMessage(c.event))
				h.Began("a", "app", "v", id, "", json.RawMessage(c.event)) // it is said twice
				h.Line("a", "app", "v", id, line("said"))
				if c.thrown {
					h.Line("a", "app", "v", id, &tail.Line{Exception: true, Name: "E", Message: "m"})
				}
				if c.finished != nil {
					h.Line("a", "app", "v", id, c.finished)
					time.Sleep(time.Second)
				} else {
					time.Sleep(2 * time.Hour)
				}
				synctest.Wait()
				got := ""
				for _, it := range r.all() {
					got += fmt.Sprint(it["entrypoint"], " ", it["executionModel"], " ", it["outcome"], " ", it["event"])
					if messages(it) != "[said]" {
						t.Errorf("it said %s", messages(it))
					}
				}
				if got != c.want {
					t.Errorf("item %s, want %s", got, c.want)
				}
				h.Close()
			})
		})
	}
}
