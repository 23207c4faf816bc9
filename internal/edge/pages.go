package edge

import (
	encjson "encoding/json"
	"html/template"
	"net/http"
	"strconv"
	"strings"

	"github.com/selvage-dev/selvage/internal/edge/wire"
)

// problem is why the edge itself answers. Its words are for the visitor: causes
// go to the log, where the ray finds them.
type problem struct {
	status     int
	code       string // one of a closed set, for programs
	text       string // what is wrong and what to do
	retryAfter int    // seconds
	number     int    // the original platform's number of this error, which programs look for; 0: none
	allow      string
}

func problemNoHost() problem {
	return problem{status: http.StatusBadRequest, code: "no_host", text: "The request names no host, so nothing can be looked up. Send a Host header field."}
}

func problemUnknownHost(host string) problem {
	const longest = 255
	if len(host) > longest {
		host = host[:longest] + "…"
	}
	return problem{
		status: http.StatusNotFound, code: "unknown_host",
		text: "No worker is deployed for the host " + strconv.Quote(host) +
			". Check the spelling, or deploy a worker whose name or route it is.",
	}
}

func problemNoPath() problem {
	return problem{
		status: http.StatusNotFound, code: "no_route",
		text: "No worker answers this URL: the host is in a zone of this platform, but none of the zone's routes and custom domains leads there.",
	}
}

func problemNothingThere() problem {
	return problem{
		status: http.StatusNotFound, code: "not_found",
		text: "This host has static assets only, and none of them is at this path.",
	}
}

func problemMethod(method string) problem {
	return problem{
		status: http.StatusMethodNotAllowed, code: "method_not_allowed",
		text:  "The method " + method + " is not served here.",
		allow: "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
	}
}

func problemAssetMethod() problem {
	return problem{
		status: http.StatusMethodNotAllowed, code: "method_not_allowed",
		text: "Static assets can only be read: use GET or HEAD.", allow: "GET, HEAD",
	}
}

func problemInternal() problem {
	return problem{
		status: http.StatusInternalServerError, code: "internal_error",
		text: "The platform failed. Its operator finds the cause in the logs under the ray id.",
	}
}

func problemBadGateway() problem {
	return problem{
		status: http.StatusBadGateway, code: "worker_unreachable",
		text: "The worker ended without a complete answer. Its operator finds the cause in the logs under the ray id.",
	}
}

func problemNotStarted() problem {
	return problem{
		status: http.StatusServiceUnavailable, code: "worker_not_started", retryAfter: 5,
		text: "The worker could not be started. Its operator finds the cause in the logs under the ray id.",
	}
}

func problemClosing() problem {
	return problem{
		status: http.StatusServiceUnavailable, code: "shutting_down", retryAfter: 1,
		text: "The platform is shutting down. Try again in a moment.",
	}
}

// problemLimit is what the original answers with when a worker exceeded its limits.
func problemLimit(what string) problem {
	return problem{
		status: http.StatusServiceUnavailable, code: "worker_exceeded_limits", number: 1102,
		text: "The worker exceeded its limit on " + what + " and was ended. Its operator finds more in the logs under the ray id.",
	}
}

func problemShared() problem {
	return problem{
		status: http.StatusServiceUnavailable, code: "worker_restarted", retryAfter: 1,
		text: "Another request made the worker exceed its limits, and its process was ended. Try again.",
	}
}

// problemBurst is the original's answer beyond the burst rate of a plan.
func problemBurst() problem {
	return problem{
		status: http.StatusTooManyRequests, code: "rate_limited", number: 1015, retryAfter: burstPeriod,
		text: "The worker gets more requests in a minute than it may take. Try again in a minute.",
	}
}

func problemException() problem {
	return problem{
		status: http.StatusInternalServerError, code: "worker_exception", number: 1101,
		text: "The worker threw an exception. Its operator finds it in the logs under the ray id.",
	}
}

func problemDeadline() problem {
	return problem{
		status: http.StatusGatewayTimeout, code: "worker_timeout", number: 524,
		text: "The worker did not begin to answer in time.",
	}
}

func problemTimeout() problem {
	return problem{
		status: http.StatusGatewayTimeout, code: "worker_timeout",
		text: "The worker did not get ready to answer in time. Try again in a moment.",
	}
}

func problemFault(f wire.Fault) problem {
	p := problem{status: f.Status(), text: "The request cannot be served: " + f.String() + "."}
	switch p.status {
	case http.StatusRequestTimeout:
		p.code = "request_timeout"
	case http.StatusRequestEntityTooLarge:
		p.code = "body_too_large"
	case http.StatusRequestURITooLong:
		p.code = "uri_too_long"
	case http.StatusExpectationFailed:
		p.code = "expectation_failed"
	case http.StatusRequestHeaderFieldsTooLarge:
		p.code = "head_too_large"
	case http.StatusHTTPVersionNotSupported:
		p.code = "version_not_supported"
	case http.StatusInternalServerError:
		return problemInternal()
	case http.StatusServiceUnavailable:
		return problemClosing()
	default:
		p.code = "bad_request"
	}
	return p
}

// fault answers a client that broke the protocol or a limit.
func (c *call) fault(f wire.Fault) { c.page(problemFault(f)) }

// page answers with p, in the format the visitor asks for.
func (c *call) page(p problem) {
	title := strconv.Itoa(p.status) + " " + http.StatusText(p.status)
	contentType := "text/plain; charset=utf-8"
	var body []byte
	switch formatFor(c.r.Field(wire.Accept)) {
	case html:
		contentType = "text/html; charset=utf-8"
		body = htmlPage(title, p, c.ray)
	case json:
		contentType = "application/json"
		body = jsonPage(p, c.ray)
	case plain:
		body = []byte(title + " (" + p.code + ")\n" + numberLine(p) + p.text + "\nray: " + c.ray + "\n")
	}
	fields := append(
		c.added[:0],
		wire.Field{Name: "Server", Value: "selvage", Known: wire.Server},
		wire.Field{Name: "CF-Ray", Value: c.ray, Known: wire.Platform},
		wire.Field{Name: "Content-Type", Value: contentType},
		wire.Field{Name: "Cache-Control", Value: "no-store"},
		wire.Field{Name: "X-Content-Type-Options", Value: "nosniff"},
	)
	if p.retryAfter > 0 {
		fields = append(fields, wire.Field{Name: "Retry-After", Value: strconv.Itoa(p.retryAfter)})
	}
	if p.allow != "" {
		fields = append(fields, wire.Field{Name: "Allow", Value: p.allow})
	}
	c.added = fields
	c.writeHead(p.status, fields, int64(len(body)))
	if c.w.Write(body) == nil && c.w.Finish(nil) == nil && c.r.Method != http.MethodHead {
		c.bytesOut = int64(len(body))
	}
}

// numberLine is how programs find the number on the original's plain pages.
func numberLine(p problem) string {
	if p.number == 0 {
		return ""
	}
	return "error code: " + strconv.Itoa(p.number) + "\n"
}

func jsonPage(p problem, ray string) []byte {
	b, err := encjson.Marshal(struct {
		Status  int    `json:"status"`
		Code    string `json:"code"`
		Number  int    `json:"error_code,omitempty"`
		Message string `json:"message"`
		Ray     string `json:"ray"`
	}{p.status, p.code, p.number, p.text, ray})
	if err != nil { // strings and a number: it cannot fail
		return nil
	}
	return append(b, '\n')
}

func htmlPage(title string, p problem, ray string) []byte {
	const frame = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:40em;margin:15vh auto;padding:0 1em;color:#222;background:#fff}
small{color:#666}code{font-size:.9em}@media(prefers-color-scheme:dark){body{color:#ddd;background:#161616}small{color:#999}}</style>
</head><body><h1>{title}</h1><p>{text}</p><p><small>code <code>{code}</code> · ray <code>{ray}</code></small></p></body></html>
`
	if p.number != 0 {
		title = "Error " + strconv.Itoa(p.number) + ": " + title
	}
	r := strings.NewReplacer("{title}", title, "{text}", template.HTMLEscapeString(p.text), "{code}", p.code, "{ray}", ray)
	return []byte(r.Replace(frame))
}
