package bindings

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"syscall"
)

// outcome is how an outbound request ended: a metric label, and behind
// "egress-" the value of the selvage-error field.
type outcome string

const (
	outcomeOK          outcome = "ok"
	outcomeAborted     outcome = "aborted"
	outcomeCancelled   outcome = "cancelled"
	outcomeInvalid     outcome = "invalid"
	outcomeRefused     outcome = "refused"
	outcomeBusy        outcome = "busy"
	outcomeLoop        outcome = "loop"
	outcomeUpstream    outcome = "upstream"
	outcomeConnect     outcome = "connect"
	outcomeTimeout     outcome = "timeout"
	outcomeUnreachable outcome = "unreachable"
	outcomeTLS         outcome = "tls"
	outcomeCertificate outcome = "certificate"
	outcomeDNS         outcome = "dns"
)

// Status codes that the original platform answers with when an origin cannot
// be reached; see the table in the package comment.
const (
	statusUnknown     = 520
	statusRefused     = 521
	statusTimeout     = 522
	statusUnreachable = 523
	statusTLS         = 525
	statusCertificate = 526
	statusDNS         = 530
)

// failure is why a request was not made, or not answered.
type failure struct {
	outcome outcome
	status  int
	// text is for the worker: what is wrong and what to do about it. It holds
	// neither the query nor credentials nor what a name resolved to.
	text string
	// addr and class are for the log: the address that was refused, if one was.
	addr  netip.Addr
	class class
	err   error
}

func (f *failure) Error() string {
	if f.err != nil {
		return string(f.outcome) + ": " + f.text + ": " + f.err.Error()
	}
	return string(f.outcome) + ": " + f.text
}

func (f *failure) Unwrap() error { return f.err }

func invalid(text string) *failure {
	return &failure{outcome: outcomeInvalid, status: http.StatusBadRequest, text: text}
}

// explain turns an error of the dialer or of the HTTP client into a failure.
// The error of the TLS handshake, if there was one, goes beside it.
func explain(err, handshake error) *failure {
	if known, ok := errors.AsType[*failure](err); ok {
		return known
	}
	var (
		dns     *net.DNSError
		cert    *tls.CertificateVerificationError
		timeout net.Error
	)
	switch {
	case errors.Is(err, context.Canceled):
		return &failure{outcome: outcomeCancelled, status: http.StatusBadGateway, text: "the request was cancelled", err: err}
	case errors.As(err, &dns):
		return explainDNS(dns)
	case errors.As(err, &cert), errors.As(handshake, &cert):
		return &failure{
			outcome: outcomeCertificate, status: statusCertificate, err: err,
			text: "the origin's certificate is not valid: " + cert.Err.Error(),
		}
	case handshake != nil:
		return &failure{outcome: outcomeTLS, status: statusTLS, text: "the TLS handshake with the origin failed", err: err}
	case errors.Is(err, syscall.ECONNREFUSED):
		return &failure{outcome: outcomeConnect, status: statusRefused, text: "the origin refused the connection", err: err}
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EADDRNOTAVAIL):
		return &failure{outcome: outcomeUnreachable, status: statusUnreachable, text: "there is no route to the origin", err: err}
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return &failure{outcome: outcomeTimeout, status: statusTimeout, text: "the origin did not answer in time", err: err}
	}
	return &failure{
		outcome: outcomeUpstream, status: statusUnknown, err: err,
		text: "the origin closed the connection, or its answer is not valid HTTP, or its header is too big",
	}
}

func explainDNS(err *net.DNSError) *failure {
	f := &failure{outcome: outcomeDNS, status: statusDNS, err: err}
	switch {
	case err.IsNotFound:
		f.text = "the name does not resolve"
	case err.IsTimeout:
		f.text = "the name server did not answer in time"
	default:
		f.text = "the name could not be resolved"
	}
	return f
}
