package rpcrelay

import (
	"testing"

	"capnproto.org/go/capnp/v3"
	"capnproto.org/go/capnp/v3/std/capnp/rpc"
)

// TestCompose holds that another implementation reads the relay's own messages.
func TestCompose(t *testing.T) {
	read := func(b []byte) rpc.Message {
		t.Helper()
		var own message
		if n, _, err := own.parse(b); err != nil || n != len(b) {
			t.Fatalf("own framing: %d of %d, %v", n, len(b), err)
		}
		m, err := capnp.Unmarshal(b)
		if err != nil {
			t.Fatal(err)
		}
		r, err := rpc.ReadRootMessage(m)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	boot, err := read(appendBootstrap(nil, 7)).Bootstrap()
	if err != nil || boot.QuestionId() != 7 {
		t.Errorf("bootstrap %d, %v", boot.QuestionId(), err)
	}
	fin, err := read(appendFinish(nil, 8, false)).Finish()
	if err != nil || fin.QuestionId() != 8 || fin.ReleaseResultCaps() {
		t.Errorf("finish %v, %v", fin, err)
	}
	if fin, err = read(appendFinish(nil, 8, true)).Finish(); err != nil || !fin.ReleaseResultCaps() {
		t.Errorf("finish %v, %v", fin, err)
	}
	rel, err := read(appendRelease(nil, 9, 3)).Release()
	if err != nil || rel.Id() != 9 || rel.ReferenceCount() != 3 {
		t.Errorf("release %v, %v", rel, err)
	}
	ret, err := read(appendHosted(nil, 10, 4)).Return()
	if err != nil || ret.AnswerId() != 10 || ret.ReleaseParamCaps() || ret.Which() != rpc.Return_Which_results {
		t.Fatalf("return %v, %v", ret, err)
	}
	payload, _ := ret.Results()
	content, err := payload.Content()
	if err != nil || !content.Interface().IsValid() || content.Interface().Capability() != 0 {
		t.Errorf("content %v, %v", content, err)
	}
	caps, err := payload.CapTable()
	if err != nil || caps.Len() != 1 || caps.At(0).SenderHosted() != 4 {
		t.Errorf("caps %v, %v", caps, err)
	}
	for _, reason := range []string{"", "seven..", "eight...", "jsg.Error: something longer"} {
		f := &failure{reason, typeDisconnected}
		ret, err := read(appendFailure(nil, 11, f)).Return()
		if err != nil || ret.AnswerId() != 11 || ret.Which() != rpc.Return_Which_exception {
			t.Fatalf("return %v, %v", ret, err)
		}
		ex, _ := ret.Exception()
		if got, err := ex.Reason(); got != reason || err != nil || ex.Type() != rpc.Exception_Type_disconnected {
			t.Errorf("exception %q %v, %v", got, ex.Type(), err)
		}
		res, err := read(appendBrokenPromise(nil, 12, f)).Resolve()
		if err != nil || res.PromiseId() != 12 {
			t.Fatalf("resolve %v, %v", res, err)
		}
		ex, err = res.Exception()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := ex.Reason(); got != reason || err != nil {
			t.Errorf("exception %q, %v", got, err)
		}
	}
}
