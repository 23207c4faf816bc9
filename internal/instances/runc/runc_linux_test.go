package runc_test

import (
	"log/slog"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/selvage-dev/selvage/internal/instances/driver/drivertest"
	"github.com/selvage-dev/selvage/internal/instances/keeper"
	"github.com/selvage-dev/selvage/internal/instances/runc"
)

func TestMain(m *testing.M) {
	if keeper.IsKeeper(os.Args) {
		os.Exit(keeper.Main())
	}
	if os.Getenv(platformRole) != "" {
		os.Exit(platform(os.Args[1], os.Args[2]))
	}
	goleak.VerifyTestMain(m)
}

func open(t *testing.T, dir string) *runc.Driver {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: namespaces")
	}
	d, err := runc.Open(runc.Options{Dir: dir, Helper: "/proc/self/exe", Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestDriver runs the tests of every driver.
func TestDriver(t *testing.T) {
	d := open(t, t.TempDir())
	drivertest.Run(t, d)
	if err := d.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
