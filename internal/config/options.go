package config

import (
	"slices"
	"strings"
)

// Option is one thing an operator may set.
type Option struct {
	Key    string // as in the file, dotted
	Doc    string // whole sentences
	Want   string // what is valid, to complete "want …"
	Reload bool   // SIGHUP applies a change; others need a restart

	value func(*Config) any // pointer to the field
	check func(*Config) bool
}

// Env is the variable that sets the option.
func (o *Option) Env() string {
	return "SELVAGE_" + strings.ToUpper(strings.ReplaceAll(o.Key, ".", "_"))
}

// Flag is the flag that sets the option, without dashes before it.
func (o *Option) Flag() string {
	return strings.NewReplacer(".", "-", "_", "-").Replace(o.Key)
}

// Get returns the option's value as text that Set would take.
func (o *Option) Get(c *Config) string { return format(o.value(c)) }

// Copy sets the option in c to its value in from.
func (o *Option) Copy(c, from *Config) { parse(o.value(c), o.Get(from)) }

// Bool reports whether the option is a switch.
func (o *Option) Bool() bool {
	_, ok := o.value(&Config{}).(*bool)
	return ok
}

// set parses text into c and checks it.
func (o *Option) set(c *Config, text string) bool {
	return parse(o.value(c), text) && (o.check == nil || o.check(c))
}

// Options returns the table, in the order of the example file.
func Options() []Option {
	return slices.Concat(platformOptions(), tlsOptions(), apiOptions(), limitOptions(), d1Options(), vectorizeOptions(), aiOptions(), buildOptions())
}

func platformOptions() []Option {
	return []Option{
		{
			Key: "data", Doc: "The data directory: state, blobs, keys, logs. Everything worth a backup is in it.", Want: "a path",
			value: func(c *Config) any { return &c.Data },
		},
		{
			Key: "host", Doc: "The address the edge binds. 0.0.0.0 or :: opens it to the network.", Want: "an IP address, or localhost",
			value: func(c *Config) any { return &c.Host }, check: func(c *Config) bool { return validHost(c.Host) },
		},
		{
			Key: "port", Doc: "The edge's port, 0 for any free one.", Want: "a port from 0 to 65535",
			value: func(c *Config) any { return &c.Port }, check: func(c *Config) bool { return between(c.Port, 0, 65535) },
		},
		{
			Key:  "domain",
			Doc:  "Workers are at <worker>.<subdomain>.workers.<domain>. Names below selvage.localhost resolve to this machine by themselves; for another domain point *.workers.<domain> here.",
			Want: "a lower-case domain name", value: func(c *Config) any { return &c.Domain }, check: func(c *Config) bool { return validDomain(c.Domain) },
		},
		{
			Key: "subdomain", Doc: `The account's subdomain, taken at the first start only. Empty means "local".`, Want: "a lower-case label of a domain name",
			value: func(c *Config) any { return &c.Subdomain }, check: func(c *Config) bool { return c.Subdomain == "" || validLabel(c.Subdomain) },
		},
		{
			Key: "workerd", Doc: "The workerd to run instead of the one inside this binary.", Want: "a path",
			value: func(c *Config) any { return &c.Workerd },
		},
		{
			Key: "isolation", Doc: "Workers are confined by all that this machine offers, see \"selvage doctor\". With require the platform does not start where they could reach one another or this machine.", Want: "auto or require",
			value: func(c *Config) any { return &c.Isolation }, check: func(c *Config) bool { return oneOf(c.Isolation, IsolationAuto, IsolationRequire) },
		},
		{
			Key: "insecure_http", Doc: "Let the API listen off loopback without TLS. Tokens then cross the network in the clear.", Want: "true or false",
			value: func(c *Config) any { return &c.InsecureHTTP },
		},
		{
			Key: "idle_stop", Doc: "A worker's process without requests stops after this time.", Want: "a duration of 100ms or more, such as 10m", Reload: true,
			value: func(c *Config) any { return &c.IdleStop }, check: func(c *Config) bool { return c.IdleStop >= minIdleStop },
		},
		{
			Key: "max_processes", Doc: "Worker processes that may run at the same time; the least recently used idle one makes room.", Want: "a number from 1 to 100000",
			value: func(c *Config) any { return &c.MaxProcesses }, check: func(c *Config) bool { return between(c.MaxProcesses, 1, 100_000) },
		},
		{
			Key: "worker_processes", Doc: "Processes that one version of a worker may have while it is hot; 0 means as many as there are CPUs, 1 never more than one.", Want: "a number from 0 to 64",
			value: func(c *Config) any { return &c.WorkerProcesses }, check: func(c *Config) bool { return between(c.WorkerProcesses, 0, 64) },
		},
		{
			Key: "drain_timeout", Doc: "How long a stop waits for requests in flight.", Want: "a duration from 0s to 1h", Reload: true,
			value: func(c *Config) any { return &c.DrainTimeout }, check: func(c *Config) bool { return c.DrainTimeout >= 0 && c.DrainTimeout <= maxDrain },
		},
		{
			Key: "deploy_drain", Doc: "How long a version that a deploy replaced may finish the requests it has; WebSockets are requests.", Want: "a duration from 1s to 24h",
			value: func(c *Config) any { return &c.DeployDrain }, check: func(c *Config) bool { return c.DeployDrain >= minDeployDrain && c.DeployDrain <= maxDeployDrain },
		},
		{
			Key: "object_handover", Doc: "How long a deploy lets requests finish in the process that has a worker's Durable Objects open; all other calls to them wait meanwhile.", Want: "a duration from 100ms to 10m",
			value: func(c *Config) any { return &c.ObjectHandover }, check: func(c *Config) bool {
				return c.ObjectHandover >= minObjectHandover && c.ObjectHandover <= maxObjectHandover
			},
		},
		{
			Key: "trusted_proxies", Doc: "Proxies whose X-Forwarded-* fields are believed.", Want: `networks such as "10.0.0.0/8"`, Reload: true,
			value: func(c *Config) any { return &c.TrustedProxies },
		},
		{
			Key:   "egress_allow",
			Doc:   "Private networks that every worker may reach, with ports after a colon where not all. Public addresses need no entry.",
			Want:  `networks such as "10.1.0.0/16", "10.2.3.4/32:5432" or "[fd00::/8]:8000-8100"`,
			value: func(c *Config) any { return &c.EgressAllow },
		},
	}
}

func apiOptions() []Option {
	return []Option{
		{
			Key: "api.host", Doc: "The address the API binds. Empty: the same as host.", Want: "an IP address, or localhost",
			value: func(c *Config) any { return &c.API.Host }, check: func(c *Config) bool { return c.API.Host == "" || validHost(c.API.Host) },
		},
		{
			Key: "api.port", Doc: "The API's port, 0 for any free one.", Want: "a port from 0 to 65535",
			value: func(c *Config) any { return &c.API.Port }, check: func(c *Config) bool { return between(c.API.Port, 0, 65535) },
		},
		{
			Key: "api.tls_cert", Doc: "Certificate chain (PEM) of the API; with it the API speaks HTTPS.", Want: "a path",
			value: func(c *Config) any { return &c.API.TLSCert },
		},
		{
			Key: "api.tls_key", Doc: "Private key (PEM) of the API's certificate.", Want: "a path",
			value: func(c *Config) any { return &c.API.TLSKey },
		},
		{
			Key: "api.metrics_open", Doc: "Serve /metrics on the API without a token.", Want: "true or false",
			value: func(c *Config) any { return &c.API.MetricsOpen },
		},
		{
			Key: "cache.max_size", Doc: "Disk that the workers' caches may take together; the largest gives way first. They are empty after a start.", Want: "a size from 16MiB, such as 1GiB",
			value: func(c *Config) any { return &c.Cache.MaxSize }, check: func(c *Config) bool { return c.Cache.MaxSize >= minCache },
		},
		{
			Key: "log.level", Doc: "The least severe platform messages to log.", Want: "debug, info, warn or error", Reload: true,
			value: func(c *Config) any { return &c.Log.Level }, check: func(c *Config) bool { return oneOf(c.Log.Level, "debug", "info", "warn", "error") },
		},
		{
			Key: "log.format", Doc: "The platform's own log on stderr: text, json, or auto (text on a terminal, json otherwise).", Want: "auto, text or json",
			value: func(c *Config) any { return &c.Log.Format }, check: func(c *Config) bool { return oneOf(c.Log.Format, "auto", "text", "json") },
		},
		{
			Key: "log.max_size", Doc: "Disk that requests, console output and exceptions may take; the oldest go first.", Want: "a size from 1MiB, such as 512MiB", Reload: true,
			value: func(c *Config) any { return &c.Log.MaxSize }, check: func(c *Config) bool { return c.Log.MaxSize >= 1<<20 },
		},
		{
			Key: "log.max_age", Doc: "How long these are kept.", Want: "a duration of 1h or more, such as 168h", Reload: true,
			value: func(c *Config) any { return &c.Log.MaxAge }, check: func(c *Config) bool { return c.Log.MaxAge >= minLogAge },
		},
	}
}

func limitOptions() []Option {
	return []Option{
		{
			Key: "limits.header_size", Doc: "Request line and header fields of one request.", Want: "a size from 4KiB to 1MiB", Reload: true,
			value: func(c *Config) any { return &c.Limits.HeaderSize },
			check: func(c *Config) bool { return c.Limits.HeaderSize >= 4<<10 && c.Limits.HeaderSize <= 1<<20 },
		},
		{
			Key: "limits.body_size", Doc: "Body of one request; 0 for no limit.", Want: "a size such as 100MiB", Reload: true,
			value: func(c *Config) any { return &c.Limits.BodySize },
		},
		{
			Key: "limits.connections", Doc: "Connections open at the edge at the same time.", Want: "a number from 1 to 1000000", Reload: true,
			value: func(c *Config) any { return &c.Limits.Connections }, check: func(c *Config) bool { return between(c.Limits.Connections, 1, 1_000_000) },
		},
		{
			Key: "limits.header_timeout", Doc: "Time for a whole request head to arrive.", Want: wantTimeout, Reload: true,
			value: func(c *Config) any { return &c.Limits.HeaderTimeout }, check: func(c *Config) bool { return validTimeout(c.Limits.HeaderTimeout) },
		},
		{
			Key: "limits.idle_timeout", Doc: "Time between two requests of a connection.", Want: wantTimeout, Reload: true,
			value: func(c *Config) any { return &c.Limits.IdleTimeout }, check: func(c *Config) bool { return validTimeout(c.Limits.IdleTimeout) },
		},
		{
			Key: "limits.stall_timeout", Doc: "Time without a byte while a visitor's body is read or an answer written.", Want: wantTimeout, Reload: true,
			value: func(c *Config) any { return &c.Limits.StallTimeout }, check: func(c *Config) bool { return validTimeout(c.Limits.StallTimeout) },
		},
		{
			Key: "limits.start_timeout", Doc: "Time for a worker's process to answer after its start.", Want: wantTimeout,
			value: func(c *Config) any { return &c.Limits.StartTimeout }, check: func(c *Config) bool { return validTimeout(c.Limits.StartTimeout) },
		},
		{
			Key: "limits.cpu", Doc: "Processor time that a worker's JavaScript may take without a break; a worker's own limits.cpu_ms overrides it.", Want: "a duration from 10ms to 5m",
			value: func(c *Config) any { return &c.Limits.CPU }, check: func(c *Config) bool { return c.Limits.CPU >= minCPU && c.Limits.CPU <= maxCPU },
		},
		{
			Key: "limits.memory", Doc: "Memory of JavaScript's heap in one worker's process. Heap, buffers and garbage together may take four times as much.", Want: "a size from 32MiB to 64GiB, such as 128MiB",
			value: func(c *Config) any { return &c.Limits.Memory }, check: func(c *Config) bool { return c.Limits.Memory >= 32<<20 && c.Limits.Memory <= 64<<30 },
		},
		{
			Key: "limits.subrequests", Doc: "Subrequests that one request of a worker may make: of fetch and the Cache API, and as many again of its bindings; a worker's own limits.subrequests overrides it.", Want: "a number from 1 to 10000000",
			value: func(c *Config) any { return &c.Limits.Subrequests }, check: func(c *Config) bool { return between(c.Limits.Subrequests, 1, 10_000_000) },
		},
		{
			Key: "limits.response_timeout", Doc: "Time until a worker's answer begins; 0s for no limit, as on the original platform.", Want: "a duration from 0s to 1h", Reload: true,
			value: func(c *Config) any { return &c.Limits.Response }, check: func(c *Config) bool { return c.Limits.Response >= 0 && c.Limits.Response <= maxDrain },
		},
		{
			Key: "limits.requests_per_minute", Doc: "Requests that one worker takes in a minute, from all its visitors; 0 for no limit.", Want: "a number from 0 to 1000000000", Reload: true,
			value: func(c *Config) any { return &c.Limits.Burst }, check: func(c *Config) bool { return between(c.Limits.Burst, 0, 1_000_000_000) },
		},
		{
			Key: "limits.script_size", Doc: "All modules of one version together.", Want: "a size from 1KiB, such as 64MiB",
			value: func(c *Config) any { return &c.Limits.ScriptSize }, check: func(c *Config) bool { return c.Limits.ScriptSize >= 1<<10 },
		},
		{
			Key: "limits.asset_count", Doc: "Static assets of one version.", Want: "a number from 1 to 1000000",
			value: func(c *Config) any { return &c.Limits.AssetCount }, check: func(c *Config) bool { return between(c.Limits.AssetCount, 1, 1_000_000) },
		},
		{
			Key: "limits.asset_size", Doc: "One static asset.", Want: "a size from 1KiB, such as 25MiB",
			value: func(c *Config) any { return &c.Limits.AssetSize }, check: func(c *Config) bool { return c.Limits.AssetSize >= 1<<10 },
		},
		{
			Key: "limits.header_rules", Doc: "Rules in a _headers file.", Want: "a number from 1 to 10000",
			value: func(c *Config) any { return &c.Limits.HeaderRules }, check: func(c *Config) bool { return between(c.Limits.HeaderRules, 1, 10_000) },
		},
		{
			Key: "limits.static_redirects", Doc: "Rules in a _redirects file without * and placeholders.", Want: "a number from 1 to 100000",
			value: func(c *Config) any { return &c.Limits.StaticRedirects }, check: func(c *Config) bool { return between(c.Limits.StaticRedirects, 1, 100_000) },
		},
		{
			Key: "limits.dynamic_redirects", Doc: "Rules in a _redirects file with * or placeholders.", Want: "a number from 1 to 100000",
			value: func(c *Config) any { return &c.Limits.DynamicRedirects }, check: func(c *Config) bool { return between(c.Limits.DynamicRedirects, 1, 100_000) },
		},
	}
}
