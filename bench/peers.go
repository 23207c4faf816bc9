package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

const wranglerScript = "tools/node_modules/wrangler/bin/wrangler.js"

// What nginx is told besides the server block.
const (
	// As /etc/nginx/nginx.conf of Debian's package has it, where it matters for
	// speed; a keepalive connection may only live longer, as wrk
	// keeps its own.
	nginxShipped = `access_log %[1]s/access.log; sendfile on; tcp_nopush on; types_hash_max_size 2048; keepalive_requests 1000000000;`
	// As a careful operator would have it.
	nginxTuned = `access_log %[1]s/access.log combined buffer=64k flush=1s; sendfile on; tcp_nopush on; types_hash_max_size 2048; keepalive_requests 1000000000; open_file_cache max=1000;`
)

// nginx starts nginx with one server block on a free port.
func (b *bench) nginx(settings, server string) (*process, string, error) {
	port, err := freePort()
	if err != nil {
		return nil, "", err
	}
	dir, err := os.MkdirTemp(b.dir, "nginx-")
	if err != nil {
		return nil, "", err
	}
	user := ""
	if os.Getuid() == 0 {
		user = "user root;" // The worker's socket is readable by its owner only.
	}
	conf := fmt.Sprintf(`%s daemon off; worker_processes auto; pid %s/pid; error_log %s/error.log;
events { worker_connections 1024; }
http {
	%s
	include /etc/nginx/mime.types; default_type application/octet-stream;
	client_body_temp_path %s/body; proxy_temp_path %s/proxy; fastcgi_temp_path %s/f; uwsgi_temp_path %s/u; scgi_temp_path %s/s;
	%s
}`, user, dir, dir, fmt.Sprintf(settings, dir), dir, dir, dir, dir, dir, fmt.Sprintf(server, fmt.Sprintf("127.0.0.1:%d", port)))
	name := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(name, []byte(conf), 0o600); err != nil {
		return nil, "", err
	}
	p, err := b.start(nil, dir, "nginx", "-p", dir, "-c", name)
	if err != nil {
		return nil, "", err
	}
	url := fmt.Sprintf("http://127.0.0.1:%d/", port)
	return p, url, nil
}

// nginxProxy is nginx in front of a unix socket, with upstream keep-alive.
const nginxProxy = `upstream w { server unix:%s; keepalive 64; keepalive_requests 1000000000; }
	server { listen %%s; location / { proxy_pass http://w; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host; proxy_set_header X-Forwarded-For $remote_addr; } }`

const nginxFiles = `server { listen %%s; root %s; }`

// caddy starts Caddy with one site on a free port, access log on.
func (b *bench) caddy(site string) (*process, string, error) {
	port, err := freePort()
	if err != nil {
		return nil, "", err
	}
	dir, err := os.MkdirTemp(b.dir, "caddy-")
	if err != nil {
		return nil, "", err
	}
	conf := fmt.Sprintf("{\n\tadmin off\n\tauto_https off\n}\nhttp://127.0.0.1:%d {\n\tlog {\n\t\toutput file %s/access.log\n\t}\n\t%s\n}\n", port, dir, site)
	name := filepath.Join(dir, "Caddyfile")
	if err := os.WriteFile(name, []byte(conf), 0o600); err != nil {
		return nil, "", err
	}
	p, err := b.start([]string{"HOME=" + dir, "XDG_CONFIG_HOME=" + dir, "XDG_DATA_HOME=" + dir}, dir, "caddy", "run", "--config", name, "--adapter", "caddyfile")
	return p, fmt.Sprintf("http://127.0.0.1:%d/", port), err
}

// miniflare starts the hello worker in Miniflare, by "wrangler dev".
func (b *bench) miniflare() (*process, string, error) {
	port, err := freePort()
	if err != nil {
		return nil, "", err
	}
	dir, err := os.MkdirTemp(b.dir, "miniflare-")
	if err != nil {
		return nil, "", err
	}
	if err := os.WriteFile(filepath.Join(dir, "index.js"), []byte(helloScript), 0o600); err != nil {
		return nil, "", err
	}
	script, err := filepath.Abs(wranglerScript)
	if err != nil {
		return nil, "", err
	}
	p, err := b.start([]string{"HOME=" + dir, "WRANGLER_SEND_METRICS=false", "CLOUDFLARE_CF_FETCH_ENABLED=false"}, dir,
		"node", script, "dev", "index.js", "--ip", "127.0.0.1", "--port", strconv.Itoa(port), "--compatibility-date", "2026-09-01", "--log-level", "error", "--show-interactive-dev-session=false")
	return p, fmt.Sprintf("http://127.0.0.1:%d/", port), err
}

// workerdConfig is the hello worker alone, without the platform.
const workerdConfig = `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
	services = [(name = "w", worker = (modules = [(name = "index.js", esModule = %q)], compatibilityDate = "2026-09-01"))],
	sockets = [(name = "h", address = %q, http = (), service = "w")]);`

// workerd starts workerd alone with the hello worker on an address.
func (b *bench) workerd(address string) (*process, error) {
	dir, err := os.MkdirTemp(b.dir, "workerd-")
	if err != nil {
		return nil, err
	}
	name := filepath.Join(dir, "config.capnp")
	if err := os.WriteFile(name, []byte(fmt.Sprintf(workerdConfig, helloScript, address)), 0o600); err != nil {
		return nil, err
	}
	return b.start(nil, dir, "workerd", "serve", name)
}
