package config

import (
	"path"
	"strings"
	"time"
)

const (
	minBuild     = 10 * time.Second
	maxBuild     = 24 * time.Hour
	maxBuilds    = 14 // as many as there are user ids for them
	minProcesses = 16
)

func buildOptions() []Option {
	return []Option{
		{
			Key: "builds.push_size", Doc: "What one git push may send.", Want: "a size from 1KiB, such as 1GiB",
			value: func(c *Config) any { return &c.Builds.PushSize }, check: func(c *Config) bool { return c.Builds.PushSize >= 1<<10 },
		},
		{
			Key: "builds.concurrent", Doc: "Builds of what was pushed that run at the same time, each of another project.", Want: "a number from 1 to 14",
			value: func(c *Config) any { return &c.Builds.Concurrent }, check: func(c *Config) bool { return between(c.Builds.Concurrent, 1, maxBuilds) },
		},
		{
			Key: "builds.timeout", Doc: "Time that one build may take.", Want: "a duration from 10s to 24h",
			value: func(c *Config) any { return &c.Builds.Timeout }, check: func(c *Config) bool { return c.Builds.Timeout >= minBuild && c.Builds.Timeout <= maxBuild },
		},
		{
			Key: "builds.memory", Doc: "Memory of all processes of a build together.", Want: "a size from 64MiB, such as 2GiB",
			value: func(c *Config) any { return &c.Builds.Memory }, check: func(c *Config) bool { return c.Builds.Memory >= 64<<20 },
		},
		{
			Key: "builds.processes", Doc: "Processes and threads of a build.", Want: "a number from 16 to 100000",
			value: func(c *Config) any { return &c.Builds.Processes }, check: func(c *Config) bool { return between(c.Builds.Processes, minProcesses, 100_000) },
		},
		{
			Key: "builds.disk", Doc: "What a build may write to disk, the files of its commit included.", Want: "a size from 16MiB, such as 4GiB",
			value: func(c *Config) any { return &c.Builds.Disk }, check: func(c *Config) bool { return c.Builds.Disk >= 16<<20 },
		},
		{
			Key: "builds.network", Doc: "What a build may reach: nothing, or by an HTTP proxy of the platform's the public internet and what egress_allow names. npm ci needs the latter, unless all it installs is cached.", Want: "none or public",
			value: func(c *Config) any { return &c.Builds.Network }, check: func(c *Config) bool { return oneOf(c.Builds.Network, NetworkNone, NetworkPublic) },
		},
		{
			Key: "builds.path", Doc: "The folders in which builds find programs. One outside of /usr and /bin is shown to builds with the folder that it is in.", Want: `absolute paths, such as "/opt/node/bin:/usr/bin:/bin"`,
			value: func(c *Config) any { return &c.Builds.Path }, check: func(c *Config) bool { return validPath(c.Builds.Path) },
		},
	}
}

func validPath(list string) bool {
	for p := range strings.SplitSeq(list, ":") {
		if !path.IsAbs(p) || path.Clean(p) != p || p == "/" {
			return false
		}
	}
	return true
}
