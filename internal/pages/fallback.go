package pages

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"io"
	"strings"
)

//go:embed js/fallback.js
var fallbackSource string

const (
	fallbackName  = "selvage-pages-entry.mjs"
	moduleType    = "application/javascript+module"
	maxMainModule = 64 << 20
)

// withFallback puts a main module of ours before that of a _worker.js which may
// ask for the site's file where it throws. What wrangler makes of a folder of
// functions does that by itself.
func (s *Service) withFallback(ctx context.Context, main string, modules []Module) (string, []Module, error) {
	if main == "" || strings.HasPrefix(main, "functionsWorker-") {
		return main, modules, nil
	}
	for _, m := range modules {
		if m.Name == fallbackName {
			return "", nil, &RefusedError{Text: "The bundle has a module " + fallbackName + ", a name that is the platform's. Rename it."}
		}
		if m.Name != main || m.ContentType != moduleType {
			continue
		}
		uses, err := s.mentions(m.Blob, "passThroughOnException")
		if err != nil {
			return "", nil, err
		}
		if !uses {
			return main, modules, nil
		}
		blob, size, err := s.o.Store.Blobs.Put(ctx, strings.NewReader(fallbackFor(main)), 1<<20)
		if err != nil {
			return "", nil, err
		}
		return fallbackName, append([]Module{{Name: fallbackName, ContentType: moduleType, Blob: blob, Size: size}}, modules...), nil
	}
	return main, modules, nil
}

// fallbackFor fills in the names, which are put into string literals.
func fallbackFor(main string) string {
	literal := func(v string) string {
		b, err := json.Marshal(v)
		if err != nil {
			return ""
		}
		return string(bytes.Trim(b, `"`))
	}
	return strings.NewReplacer("@@MAIN@@", literal("./"+strings.TrimPrefix(main, "./")), "@@BINDING@@", assetsBinding).Replace(fallbackSource)
}

func (s *Service) mentions(blob, word string) (bool, error) {
	f, err := s.o.Store.Blobs.Open(blob)
	if err != nil {
		return false, err
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, maxMainModule))
	return bytes.Contains(text, []byte(word)), err
}
