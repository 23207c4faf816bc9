//go:build !linux

package server

import "github.com/selvage-dev/selvage/internal/instances/driver"

// ContainersMissing says what this machine lacks to run containers.
func ContainersMissing() string { return "they need Linux" }

// containerDriver says that nothing runs containers here.
func (*Server) containerDriver() (driver.Driver, string, error) {
	return nil, "they need Linux", nil
}
