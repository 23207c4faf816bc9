package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/selvage-dev/selvage/client"
)

// bench holds the tools found on this machine and the report.
type bench struct {
	rounds      int
	seconds     time.Duration
	vectors     int // of the suite vectorize
	dims        int // of each
	deployments int // of the suite pages-kept
	// Of the suites vectorize-binding and vectorize-live.
	vectorSizes, vectorData string
	vectorRebuild           bool
	vectorPeers             []string
	dir                     string // temporary, removed at the end
	tools                   map[string]string
	report                  report
}

func newBench(rounds int, seconds time.Duration) (*bench, error) {
	dir, err := os.MkdirTemp("", "selvage-bench-")
	if err != nil {
		return nil, err
	}
	b := &bench{rounds: rounds, seconds: seconds, dir: dir, tools: map[string]string{}}
	b.report = report{Time: time.Now().UTC(), CPU: cpuModel(), Cores: runtime.NumCPU()}
	for name, hint := range map[string]string{
		"wrk": "apt-get install wrk", "nginx": "apt-get install nginx-light", "caddy": "apt-get install caddy",
	} {
		path, err := exec.LookPath(name)
		if err != nil {
			if path, err = exec.LookPath("/usr/sbin/" + name); err != nil {
				return nil, fmt.Errorf("%s is not installed; %s (make bench does it where it may)", name, hint)
			}
		}
		b.tools[name] = path
	}
	for name, pattern := range map[string]string{
		"selvage": "bin/selvage",
		"node":    "tools/node_modules/node-" + runtime.GOOS + "-*/bin/node",
		"workerd": "tools/node_modules/@cloudflare/workerd-*/bin/workerd",
	} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			return nil, fmt.Errorf("%s is missing; run \"make build\" at the top of the repository", pattern)
		}
		if b.tools[name], err = filepath.Abs(found[0]); err != nil {
			return nil, err
		}
	}
	version, err := exec.Command(b.tools["selvage"], "version").Output()
	b.report.Version = strings.TrimSpace(strings.SplitN(string(version), "\n", 2)[0])
	return b, err
}

func (b *bench) close() { _ = os.RemoveAll(b.dir) }

// process is a contender or a helper of one.
type process struct{ cmd *exec.Cmd }

func (b *bench) start(env []string, dir, tool string, args ...string) (*process, error) {
	cmd := exec.Command(b.tools[tool], args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	log, err := os.OpenFile(filepath.Join(b.dir, tool+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }() // the process has its own
	cmd.Stdout, cmd.Stderr = log, log
	return &process{cmd}, cmd.Start()
}

func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have gone already
	done := time.AfterFunc(10*time.Second, func() { _ = p.cmd.Process.Kill() })
	defer done.Stop()
	_ = p.cmd.Wait()
}

// platform is one running selvage.
type platform struct {
	*process
	data          string
	EdgeURL       string `json:"edge_url"`
	APIURL        string `json:"api_url"`
	AccountID     string `json:"account_id"`
	Token         string `json:"token"`
	WorkersDomain string `json:"workers_domain"`
	PagesDomain   string `json:"pages_domain"`
	PID           int    `json:"pid"`
	client        *client.Client
	startup       time.Duration // from exec to ready
}

// platform starts selvage on free ports; an empty data makes a fresh folder.
func (b *bench) platform(data string, env ...string) (*platform, error) {
	if data == "" {
		var err error
		if data, err = os.MkdirTemp(b.dir, "data-"); err != nil {
			return nil, err
		}
	}
	p := &platform{data: data}
	cmd := exec.Command(b.tools["selvage"], "up", "--json", "--data", data, "--port", "0", "--api-port", "0")
	cmd.Env = append(os.Environ(), env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p.process = &process{cmd}
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil {
		p.stop()
		return nil, fmt.Errorf("selvage up: %w: %s", err, stderr.Bytes())
	}
	p.startup = time.Since(began)
	go func() { _, _ = io.Copy(io.Discard, out) }()
	if err := json.Unmarshal(line, p); err != nil {
		return nil, err
	}
	p.client, err = client.New(p.APIURL+"/client/v4", p.Token, p.AccountID, client.Options{})
	return p, err
}

func (p *platform) host(worker string) string { return worker + "." + p.WorkersDomain }

const helloScript = `export default { fetch() { return new Response("hello") } }`

// deploy makes one module the live version of a worker.
func (p *platform) deploy(ctx context.Context, name, source string) error {
	_, err := p.client.Deploy(ctx, name, &client.Upload{
		MainModule:        "index.js",
		Modules:           []client.Module{{Name: "index.js", ContentType: client.TypeESModule, Body: []byte(source)}},
		CompatibilityDate: "2026-09-01",
	})
	if err == nil {
		_, err = p.client.SetPlace(ctx, name, true, nil)
	}
	return err
}

// get makes one request on a connection of its own and returns how long the
// answer took.
func get(ctx context.Context, url, host string) (time.Duration, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	req.Host = host
	tr := &http.Transport{DisableKeepAlives: true}
	began := time.Now()
	res, err := tr.RoundTrip(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = res.Body.Close() }()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return 0, err
	}
	if res.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("%s (%s) answered %s", url, host, res.Status)
	}
	return time.Since(began), nil
}

// metric is the sum of a metric's samples over all labels.
func (p *platform) metric(ctx context.Context, name string) (float64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.APIURL+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer "+p.Token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = res.Body.Close() }()
	sum, found := 0.0, false
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		rest, ok := strings.CutPrefix(lines.Text(), name)
		if !ok || rest == "" || (rest[0] != ' ' && rest[0] != '{') {
			continue
		}
		v, err := strconv.ParseFloat(rest[strings.LastIndexByte(rest, ' ')+1:], 64)
		if err != nil {
			return 0, err
		}
		sum, found = sum+v, true
	}
	if !found {
		return 0, fmt.Errorf("/metrics has no %s", name)
	}
	return sum, nil
}

// load is what wrk measured.
type load struct{ perSecond, p99 float64 } // requests/s; milliseconds

var (
	wrkRate = regexp.MustCompile(`Requests/sec:\s+([0-9.]+)`)
	wrkP99  = regexp.MustCompile(`99%\s+([0-9.]+)(us|ms|s)`)
	wrkBad  = regexp.MustCompile(`(?m)^\s*(Non-2xx.*|Socket errors.*)$`)
)

// wrk loads a URL on loopback for b.seconds with 32 connections.
func (b *bench) wrk(ctx context.Context, url, host string) (load, error) {
	args := []string{"-t1", "-c32", "-d" + b.seconds.String(), "--latency"}
	if host != "" {
		args = append(args, "-H", "Host: "+host)
	}
	out, err := exec.CommandContext(ctx, b.tools["wrk"], append(args, url)...).CombinedOutput()
	if err != nil {
		return load{}, fmt.Errorf("wrk %s: %w: %s", url, err, out)
	}
	if bad := wrkBad.Find(out); bad != nil {
		return load{}, fmt.Errorf("wrk %s: %s", url, bad)
	}
	rate, p99 := wrkRate.FindSubmatch(out), wrkP99.FindSubmatch(out)
	if rate == nil || p99 == nil {
		return load{}, fmt.Errorf("wrk said: %s", out)
	}
	var l load
	if l.perSecond, err = strconv.ParseFloat(string(rate[1]), 64); err != nil {
		return load{}, err
	}
	if l.p99, err = strconv.ParseFloat(string(p99[1]), 64); err != nil {
		return load{}, err
	}
	l.p99 *= map[string]float64{"us": 0.001, "ms": 1, "s": 1000}[string(p99[2])]
	return l, nil
}

// cpu is the processor time a process has used, from its clock
// (clock_getcpuclockid(3)), which is exact where the ticks of proc(5) are 10 ms.
func cpu(pid int) (time.Duration, error) {
	const clockSched = 2 // CPUCLOCK_SCHED
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|clockSched), &ts); err != nil {
		return 0, os.NewSyscallError("clock_gettime", err)
	}
	return time.Duration(ts.Nano()), nil
}

// resident is a process's resident memory in MB.
func resident(pid int) (float64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, err
	}
	pages, err := strconv.ParseFloat(strings.Fields(string(b))[1], 64)
	return pages * float64(os.Getpagesize()) / 1e6, err
}

// freePort is a TCP port on loopback that nothing listens on.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	addr, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return 0, errors.Join(fmt.Errorf("a TCP listener has the address %v", l.Addr()), l.Close())
	}
	return addr.Port, l.Close()
}

// answering waits until a URL answers 200.
func answering(ctx context.Context, url, host string) error {
	var err error
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if _, err = get(ctx, url, host); err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return errors.Join(errors.New("a peer did not start"), err)
}
