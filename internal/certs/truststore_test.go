package certs_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/selvage-dev/selvage/internal/certs"
)

// A root goes into the system's folder and its command is run, and both again when it is taken away.
func TestTrustStore(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the folders are those of Linux")
	}
	root := t.TempDir()
	if _, err := certs.FindTrustStore(root, "x"); !errors.Is(err, certs.ErrNoTrustStore) {
		t.Errorf("a system without a store: %v", err)
	}
	anchors, bin := filepath.Join(root, "usr/local/share/ca-certificates"), filepath.Join(root, "usr/sbin")
	for _, dir := range []string{anchors, bin} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	calls := filepath.Join(root, "calls")
	command := func(script string) {
		if err := os.WriteFile(filepath.Join(bin, "update-ca-certificates"), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	command(`echo "called $*" >> ` + calls + "\n")
	s, err := certs.FindTrustStore(root, "x")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Trust(t.Context(), []byte("the root")); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(anchors, "selvage-local.crt")
	if got, err := os.ReadFile(file); err != nil || string(got) != "the root" {
		t.Errorf("%q, %v", got, err)
	}
	for range 2 { // The second time there is nothing to take away.
		if err := s.Distrust(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the root is still there: %v", err)
	}
	if got, _ := os.ReadFile(calls); string(got) != "called \ncalled --fresh\ncalled --fresh\n" {
		t.Errorf("the command was called so:\n%s", got)
	}
	command("echo no such luck; exit 3\n")
	if err := s.Trust(t.Context(), []byte("the root")); err == nil || !strings.Contains(err.Error(), "no such luck") {
		t.Errorf("a command that fails: %v", err)
	}
}
