package api_test

import (
	"testing"

	"github.com/selvage-dev/selvage/internal/api"
)

func TestCheckListen(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		addr          string
		tls, insecure bool
		ok            bool
	}{
		{"127.0.0.1:8788", false, false, true},
		{"[::1]:8788", false, false, true},
		{"localhost:8788", false, false, true},
		{"127.8.9.1:0", false, false, true},
		{":8788", false, false, false},
		{"0.0.0.0:8788", false, false, false},
		{"[::]:8788", false, false, false},
		{"192.168.1.2:8788", false, false, false},
		{"[::ffff:127.0.0.1]:8788", false, false, true},
		{"selvage.example:8788", false, false, false},
		{"localhost.evil.example:8788", false, false, false},
		{"0.0.0.0:8788", true, false, true},
		{"0.0.0.0:8788", false, true, true},
		{"8788", true, true, false},
		{"", false, false, false},
	} {
		if err := api.CheckListen(c.addr, c.tls, c.insecure); (err == nil) != c.ok {
			t.Errorf("CheckListen(%q, tls %v, insecure %v) = %v", c.addr, c.tls, c.insecure, err)
		}
	}
}
