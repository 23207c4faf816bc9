// Command guest is what the containers of the driver's tests run: one program with
// several behaviours, without anything beside it in its image.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/coder/websocket"
)

// shell does what the runtime's exec expects of /bin/sh: "echo $$ > FILE; exec "$@"".
func shell() {
	_, rest, _ := strings.Cut(os.Args[2], "> ")
	file, _, _ := strings.Cut(rest, ";")
	_ = os.MkdirAll(filepath.Dir(file), 0o777)
	f, err := os.Create(file)
	if err == nil {
		_, _ = fmt.Fprintln(f, os.Getpid())
		_ = f.Close()
	}
	fmt.Fprintln(os.Stderr, syscall.Exec(os.Args[4], os.Args[4:], os.Environ()))
	os.Exit(127)
}

func main() {
	if filepath.Base(os.Args[0]) == "sh" {
		shell()
		return
	}
	role := "serve"
	if len(os.Args) > 1 {
		role = os.Args[1]
	}
	switch role {
	case "serve":
		serve(os.Args[2:])
	case "exit":
		code, _ := strconv.Atoi(os.Args[2])
		os.Exit(code)
	case "show":
		show()
	case "polite":
		c := make(chan os.Signal, 1)
		signal.Notify(c, syscall.SIGTERM)
		fmt.Println("up")
		<-c
		fmt.Println("bye")
		os.Exit(7)
	case "stubborn":
		signal.Ignore(syscall.SIGTERM)
		fmt.Println("up")
		time.Sleep(time.Hour)
	case "memory":
		memory()
	case "fork":
		fork()
	case "print":
		n, _ := strconv.Atoi(os.Args[2])
		line := strings.Repeat("x", 1000)
		for range n {
			fmt.Println(line)
		}
	case "cat":
		_, _ = io.Copy(os.Stdout, os.Stdin)
	case "burn":
		fmt.Println("up")
		for {
		}
	case "escape":
		escape()
	case "flag":
		_ = os.WriteFile(os.Args[2], nil, 0o644)
	case "unflag":
		_ = os.Remove(os.Args[2])
	case "fill":
		fill()
	}
}

func serve(args []string) {
	port := "8080"
	if len(args) > 0 {
		port = args[0]
	}
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, "guest %s %s", r.Method, r.URL.Path)
	})
	http.HandleFunc("/env", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, strings.Join(os.Environ(), "\n"))
	})
	http.HandleFunc("/socket", func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
		if err != nil {
			return
		}
		for {
			kind, message, err := c.Read(r.Context())
			if err != nil {
				return
			}
			_ = c.Write(r.Context(), kind, append([]byte("echo "), message...))
		}
	})
	http.HandleFunc("/fetch", fetch)
	http.HandleFunc("/health", func(w http.ResponseWriter, _ *http.Request) {
		if _, err := os.Stat("/sick"); err == nil {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	http.HandleFunc("/nothing-but-500", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	http.HandleFunc("/exit", func(http.ResponseWriter, *http.Request) { os.Exit(3) })
	ln, err := net.Listen("tcp", ":"+port)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("listening")
	_ = http.Serve(ln, nil)
}

// fetch gets a URL, trusting the authority that was put into the container.
func fetch(w http.ResponseWriter, r *http.Request) {
	pool := x509.NewCertPool()
	if ca, err := os.ReadFile("/etc/cloudflare/certs/cloudflare-containers-ca.crt"); err == nil {
		pool.AppendCertsFromPEM(ca)
	}
	c := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true}}
	res, err := c.Get(r.URL.Query().Get("url"))
	if err != nil {
		_, _ = fmt.Fprint(w, "failed: ", err)
		return
	}
	defer func() { _ = res.Body.Close() }()
	b, _ := io.ReadAll(res.Body)
	_, _ = fmt.Fprintf(w, "%d %s", res.StatusCode, b)
}

// show prints what it finds itself in.
func show() {
	host, _ := os.Hostname()
	dir, _ := os.Getwd()
	fmt.Println("uid", os.Getuid(), "gid", os.Getgid(), "pid", os.Getpid(), "host", host, "dir", dir)
	for _, path := range []string{"/etc/hosts", "/etc/resolv.conf"} {
		b, _ := os.ReadFile(path)
		fmt.Println(path, strconv.Quote(string(b)))
	}
	groups, _ := os.Getgroups()
	fmt.Println("groups", groups)
	fmt.Println("args", strings.Join(os.Args[2:], "|"))
	fmt.Println("env", strings.Join(os.Environ(), "|"))
	ifs, _ := net.Interfaces()
	for _, i := range ifs {
		fmt.Println("interface", i.Name, i.Flags&net.FlagUp != 0)
	}
	fmt.Fprintln(os.Stderr, "on stderr")
}

func memory() {
	var all [][]byte
	for {
		b := make([]byte, 1<<20)
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		all = append(all, b)
		if len(all) > 4096 {
			os.Exit(9)
		}
	}
}

// fork starts processes until it cannot.
func fork() {
	n := 0
	for range 2000 {
		cmd := exec.Command("/proc/self/exe", "stubborn")
		if err := cmd.Start(); err != nil {
			break
		}
		n++
	}
	fmt.Println("forked", n)
	time.Sleep(time.Hour)
}

func fill() {
	f, err := os.Create("/filler")
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	b := make([]byte, 1<<20)
	for n := range 256 {
		if _, err := f.Write(b); err != nil {
			fmt.Println("stopped at", n, err)
			return
		}
	}
	fmt.Println("wrote all")
}
