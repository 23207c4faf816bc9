//go:build !linux

package server

import "github.com/selvage-dev/selvage/internal/instances/driver"

// containerDriver says that nothing runs containers here.
func (*Server) containerDriver() (driver.Driver, string, error) {
	return nil, "they need Linux", nil
}
