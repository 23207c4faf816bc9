// Package client is the Go client of the platform's API: the same endpoints that wrangler calls, and
// the platform's own below /accounts/:a/selvage.
//
// All methods are safe for concurrent use and stop when their context does. A call that the API
// refuses returns an [*Error] with the API's code; compare codes, never texts. Calls that may be
// repeated without harm are retried when the platform is busy or the connection breaks.
package client
