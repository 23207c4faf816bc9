package ai_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/selvage-dev/selvage/internal/ai"
	"github.com/selvage-dev/selvage/internal/store"
)

func open(t *testing.T) *ai.Service {
	t.Helper()
	st, err := store.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s, err := ai.New(ai.Options{Store: st})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(s.Close(), st.Close()); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestModelsFilter(t *testing.T) {
	t.Parallel()
	s := open(t)
	for _, c := range []struct {
		f    ai.Filter
		want string // what each name contains
		min  int
	}{
		{ai.Filter{}, "@", 20},
		{ai.Filter{Search: "BGE-"}, "/baai/", 5},
		{ai.Filter{Author: "QWEN"}, "/qwen/", 3},
		{ai.Filter{Task: "text embeddings"}, "e", 5},
		{ai.Filter{Author: "wordnet"}, "@selvage/wordnet/", 1},
	} {
		models := s.Models(c.f)
		if len(models) < c.min {
			t.Errorf("%+v: %d models", c.f, len(models))
		}
		for i := range models {
			if !strings.Contains(models[i].Name, c.want) {
				t.Errorf("%+v finds %s", c.f, models[i].Name)
			}
		}
	}
	if models := s.Models(ai.Filter{Search: "no such thing"}); models == nil || len(models) != 0 {
		t.Errorf("nothing is %v", models)
	}
}

func TestRunRefuses(t *testing.T) {
	t.Parallel()
	s := open(t)
	for _, c := range []struct {
		model, inputs string
		code          int
		text          string
	}{
		{"@cf/nobody/nothing", `{}`, 5007, "No such model @cf/nobody/nothing or task"},
		{"", `{}`, 5007, "No such model  or task"},
		{strings.Repeat("x", 1000) + "\n", `{}`, 5007, "…"},
		{"@cf/baai/bge-base-en-v1.5", `{"text":"a"}`, 5007, "not on this platform"},
		{"@cf/baai/bge-base-en-v1.5", `{"text":"a"} {}`, 5006, "not JSON"},
		{"@cf/baai/bge-base-en-v1.5", `[]`, 5006, "Type mismatch of '/', 'array' not in 'object'"},
		{"@cf/baai/bge-base-en-v1.5", `{"text":"` + strings.Repeat("a", ai.MaxInput) + `"}`, 3006, "too large"},
	} {
		_, err := s.Run(t.Context(), &ai.Caller{}, c.model, []byte(c.inputs))
		fault, ok := errors.AsType[*ai.Error](err)
		if !ok || fault.Code != c.code || !strings.Contains(fault.Message, c.text) || len(fault.Message) > 500 {
			t.Errorf("%.50s %.50s: %v", c.model, c.inputs, err)
		}
	}
}
