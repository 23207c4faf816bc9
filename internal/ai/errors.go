package ai

import "github.com/selvage-dev/selvage/internal/ai/fault"

// Error is an error for the one who called, with the platform's internal code.
type Error = fault.Error

// NotOffered makes the error for what the platform's users know and this release
// does not have.
func NotOffered(format string, args ...any) *Error {
	return fault.New(fault.CodeNotOffered, format, args...)
}

// Incomplete makes the error for a request that lacks something.
func Incomplete(what string) *Error {
	return fault.New(fault.CodeIncomplete, "Request is missing headers or body: %s", what)
}

// Internal makes an error of the platform's own.
func Internal(text string) *Error { return fault.New(fault.CodeInternal, "%s", text) }
