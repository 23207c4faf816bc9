package wire

import "net/http"

// Fault is a way in which a client breaks the protocol or a limit.
type Fault uint8

// FaultError is a Fault as an error.
type FaultError Fault

// Error implements error.
func (e FaultError) Error() string { return Fault(e).String() }

// Err returns f as an error, without allocating.
func (f Fault) Err() error { return FaultError(f) }

// The faults. Each closes the connection: what follows on it cannot be trusted
// to be a request.
const (
	NoFault Fault = iota
	BadRequestLine
	BadTarget
	BadVersion
	BadFieldName
	BadFieldValue
	FoldedField
	BareLineFeed
	BadHost
	MissingHost
	BadContentLength
	BadTransferEncoding
	AmbiguousLength
	BadChunk
	BadTrailer
	BadExpectation
	TargetTooLong
	HeadTooLarge
	TooManyFields
	BodyTooLarge
	HeadTimeout
	BodyTimeout
	WriteTimeout
	ClientGone
	ServerClosing
)

type faultText struct {
	status int
	text   string
}

func (f Fault) entry() faultText {
	switch f {
	case NoFault:
		return faultText{http.StatusInternalServerError, "no fault"}
	case BadRequestLine:
		return faultText{http.StatusBadRequest, "the request line is not \"method target HTTP/1.1\""}
	case BadTarget:
		return faultText{http.StatusBadRequest, "the request target is not a path, an http URL or \"*\""}
	case BadVersion:
		return faultText{http.StatusHTTPVersionNotSupported, "only HTTP/1.1 and HTTP/1.0 are spoken here"}
	case BadFieldName:
		return faultText{http.StatusBadRequest, "a header field name has a character that is not allowed, or a space before the colon"}
	case BadFieldValue:
		return faultText{http.StatusBadRequest, "a header field value has a control character"}
	case FoldedField:
		return faultText{http.StatusBadRequest, "a header field is folded over two lines"}
	case BareLineFeed:
		return faultText{http.StatusBadRequest, "a line does not end with CR LF"}
	case BadHost:
		return faultText{http.StatusBadRequest, "the Host is not exactly one valid host with an optional port"}
	case MissingHost:
		return faultText{http.StatusBadRequest, "there is no Host header field"}
	case BadContentLength:
		return faultText{http.StatusBadRequest, "Content-Length is not exactly one decimal number"}
	case BadTransferEncoding:
		return faultText{http.StatusBadRequest, "Transfer-Encoding is not exactly \"chunked\""}
	case AmbiguousLength:
		return faultText{http.StatusBadRequest, "both Content-Length and Transfer-Encoding are given"}
	case BadChunk:
		return faultText{http.StatusBadRequest, "the chunked body is malformed"}
	case BadTrailer:
		return faultText{http.StatusBadRequest, "a trailer field is malformed"}
	case BadExpectation:
		return faultText{http.StatusExpectationFailed, "the only expectation met here is \"100-continue\""}
	case TargetTooLong:
		return faultText{http.StatusRequestURITooLong, "the request target is too long"}
	case HeadTooLarge:
		return faultText{http.StatusRequestHeaderFieldsTooLarge, "the request head is too large"}
	case TooManyFields:
		return faultText{http.StatusRequestHeaderFieldsTooLarge, "the request has too many header fields"}
	case BodyTooLarge:
		return faultText{http.StatusRequestEntityTooLarge, "the request body is too large"}
	case HeadTimeout:
		return faultText{http.StatusRequestTimeout, "the request head did not arrive in time"}
	case BodyTimeout:
		return faultText{http.StatusRequestTimeout, "the request body did not arrive in time"}
	case WriteTimeout:
		return faultText{http.StatusRequestTimeout, "the client did not take the response in time"}
	case ClientGone:
		return faultText{StatusClientGone, "the client closed the connection"}
	case ServerClosing:
		return faultText{http.StatusServiceUnavailable, "the server is shutting down"}
	}
	return faultText{http.StatusInternalServerError, "unknown fault"}
}

// StatusClientGone is what the access log shows for a request whose client went
// away before there was an answer. It is never sent.
const StatusClientGone = 499

// String says what is wrong, in words for the client.
func (f Fault) String() string { return f.entry().text }

// Status is the HTTP status to answer with.
func (f Fault) Status() int { return f.entry().status }
