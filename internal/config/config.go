package config

import (
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"time"
)

// What to do where the kernel does not keep workers apart.
const (
	IsolationAuto    = "auto"    // use what there is, and say what is missing
	IsolationRequire = "require" // do not start
)

// Config is the effective configuration of a platform.
type Config struct {
	Data      string // data directory, absolute
	Host      string // address the edge binds
	Port      int    // 0: any free port
	Domain    string
	Subdomain string // only for the first start
	Workerd   string // path; empty: the embedded or development one

	Isolation    string // auto or require
	InsecureHTTP bool   // the API may listen off loopback without TLS
	IdleStop     time.Duration
	MaxProcesses int
	// WorkerProcesses bounds the processes of one hot worker; 0: the number of CPUs.
	WorkerProcesses int
	DrainTimeout    time.Duration
	DeployDrain     time.Duration
	ObjectHandover  time.Duration // requests in the process that has Durable Objects open
	TrustedProxies  []netip.Prefix
	EgressAllow     []EgressRule

	API       API
	TLS       TLS
	Cache     Cache
	D1        D1
	Vectorize Vectorize
	AI        AI
	Log       Log
	Limits    Limits
	Builds    Builds
}

// API is the listener wrangler and the CLI talk to.
type API struct {
	Host        string // empty: Config.Host
	Port        int    // 0: any free port
	TLSCert     string // PEM file; both or none
	TLSKey      string
	MetricsOpen bool // /metrics without a token
}

// Cache is what workers keep with the Cache API and the cache options of fetch.
type Cache struct {
	MaxSize Size // on disk
}

// Log is the process logger and the event log.
type Log struct {
	Level   string // debug, info, warn, error
	Format  string // auto, text, json
	MaxSize Size
	MaxAge  time.Duration
}

// Limits bound what comes from outside. Zero means no limit where the option
// says so.
type Limits struct {
	HeaderSize    Size          // request line and header fields
	BodySize      Size          // request body; 0: unlimited
	Connections   int           // open at the edge
	HeaderTimeout time.Duration // for a whole request head
	IdleTimeout   time.Duration // between requests of a connection
	StallTimeout  time.Duration // without a byte of a body in either direction
	StartTimeout  time.Duration // for a worker's process to answer
	CPU           time.Duration // JavaScript without a break, for workers that name no limit
	Memory        Size          // of the heap in a worker's process; with buffers and garbage, four times that
	Subrequests   int           // of one request, for workers that name no limit
	Response      time.Duration // until a worker's answer begins; 0: unlimited
	Burst         int           // requests of one worker a minute; 0: unlimited
	ScriptSize    Size          // all modules of a version
	AssetCount    int           // files of a version
	AssetSize     Size          // one file
	HeaderRules   int           // rules in a _headers file
	// StaticRedirects and DynamicRedirects are the rules in a _redirects file without wildcards and with.
	StaticRedirects, DynamicRedirects int
}

// Builds bound what is pushed with git and the commands that build it.
type Builds struct {
	PushSize   Size // one push
	Concurrent int
	Timeout    time.Duration
	Memory     Size // all processes of a build together
	Processes  int
	Disk       Size
	Network    string // none or public
	Path       string // folders of programs, separated by colons
}

// What a build may reach.
const (
	NetworkNone   = "none"
	NetworkPublic = "public"
)

// EgressRule lets every worker reach a network that is refused by default.
// Both ports are 0 for all ports.
type EgressRule struct {
	Prefix   netip.Prefix
	FromPort uint16
	ToPort   uint16
}

// Default returns the configuration of an operator who set nothing. The
// conventional place of the data directory is found with getenv.
func Default(getenv func(string) string) *Config {
	return &Config{
		Data:         defaultData(runtime.GOOS, os.Geteuid(), getenv),
		Host:         "127.0.0.1",
		Port:         8787,
		Domain:       "selvage.localhost",
		Isolation:    IsolationAuto,
		IdleStop:     10 * time.Minute,
		MaxProcesses: 200,
		DrainTimeout: 30 * time.Second,
		DeployDrain:  5 * time.Minute,

		ObjectHandover: 10 * time.Second,
		API:            API{Port: 8788},
		TLS:            TLS{Mode: TLSOff, Port: 8443},
		Cache:          Cache{MaxSize: 1 << 30},
		Log:            Log{Level: "info", Format: "auto", MaxSize: 512 << 20, MaxAge: 7 * 24 * time.Hour},
		Limits: Limits{
			HeaderSize:    64 << 10,
			BodySize:      100 << 20,
			Connections:   10_000,
			HeaderTimeout: 10 * time.Second,
			IdleTimeout:   2 * time.Minute,
			StallTimeout:  time.Minute,
			StartTimeout:  10 * time.Second,
			CPU:           30 * time.Second,
			Memory:        128 << 20,
			Subrequests:   10_000,
			ScriptSize:    64 << 20,
			AssetCount:    100_000,
			AssetSize:     25 << 20,
			HeaderRules:   100, StaticRedirects: 2000, DynamicRedirects: 100,
		},
		Builds: Builds{
			PushSize: 1 << 30, Concurrent: 1, Timeout: 20 * time.Minute, Memory: 2 << 30, Processes: 512, Disk: 4 << 30, Network: NetworkNone,
			Path: "/usr/local/bin:/usr/bin:/bin",
		},
		D1: defaultD1(), Vectorize: defaultVectorize(), AI: defaultAI(),
	}
}

// APIHost is the address the API binds.
func (c *Config) APIHost() string {
	if c.API.Host != "" {
		return c.API.Host
	}
	return c.Host
}

// defaultData is the platform's convention: /var/lib for root (File System
// Hierarchy Standard), the user's data home otherwise (XDG Base Directory
// Specification), Application Support on macOS. Empty when there is none.
func defaultData(goos string, uid int, getenv func(string) string) string {
	home := getenv("HOME")
	switch {
	case goos == "darwin" && home != "":
		return filepath.Join(home, "Library", "Application Support", "selvage")
	case uid == 0:
		return "/var/lib/selvage"
	}
	if xdg := getenv("XDG_DATA_HOME"); filepath.IsAbs(xdg) {
		return filepath.Join(xdg, "selvage")
	}
	if home != "" {
		return filepath.Join(home, ".local", "share", "selvage")
	}
	return ""
}
