package config

import (
	"net/url"
	"time"
)

// Where the edge's certificates come from.
const (
	TLSOff   = "off"   // no HTTPS
	TLSLocal = "local" // an authority of the platform's own, for development
	TLSACME  = "acme"  // a certificate authority
	TLSFiles = "files" // the operator's certificate alone
)

// TLS is the edge's HTTPS.
type TLS struct {
	Mode       string
	Port       int           // 0: any free port
	PublicPort int           // where visitors reach it; 0: Port
	Cert, Key  string        // PEM files of the operator's own certificate; both or none
	ACME       string        // URL of the authority's directory; empty: Let's Encrypt
	ACMERoots  string        // PEM file of the roots that vouch for it; empty: the system's
	Email      string        // of the account there
	Redirect   bool          // plain requests are sent on to HTTPS
	HSTS       time.Duration // 0: off
}

const maxHSTS = 10 * 365 * 24 * time.Hour

func tlsOptions() []Option {
	return []Option{
		{
			Key: "tls.mode", Doc: "Where the certificates of the edge's HTTPS come from: off; local, an authority of the platform's own for development (see \"selvage trust\"); acme, for the custom domains and hosts that exist here, by which you agree to the authority's terms; files, tls.cert alone.",
			Want: "off, local, acme or files", value: func(c *Config) any { return &c.TLS.Mode }, check: func(c *Config) bool { return oneOf(c.TLS.Mode, TLSOff, TLSLocal, TLSACME, TLSFiles) },
		},
		{
			Key: "tls.port", Doc: "The port of HTTPS, 0 for any free one.", Want: "a port from 0 to 65535",
			value: func(c *Config) any { return &c.TLS.Port }, check: func(c *Config) bool { return between(c.TLS.Port, 0, 65535) },
		},
		{
			Key: "tls.public_port", Doc: "The port that visitors reach HTTPS on, where that is another one because of port forwarding; 0 for the same.", Want: "a port from 0 to 65535",
			value: func(c *Config) any { return &c.TLS.PublicPort }, check: func(c *Config) bool { return between(c.TLS.PublicPort, 0, 65535) },
		},
		{
			Key: "tls.cert", Doc: "Certificate chain (PEM) of your own, used for the names in it, wildcards included; in every mode but off.", Want: "a path",
			value: func(c *Config) any { return &c.TLS.Cert },
		},
		{
			Key: "tls.key", Doc: "Private key (PEM) of that certificate.", Want: "a path",
			value: func(c *Config) any { return &c.TLS.Key },
		},
		{
			Key: "tls.acme", Doc: "The directory of the ACME certificate authority. Empty: Let's Encrypt.", Want: "an https URL",
			value: func(c *Config) any { return &c.TLS.ACME }, check: func(c *Config) bool { return c.TLS.ACME == "" || validHTTPS(c.TLS.ACME) },
		},
		{
			Key: "tls.acme_roots", Doc: "Roots (PEM) that vouch for the certificate authority's own server, for one inside your network. Empty: the system's.", Want: "a path",
			value: func(c *Config) any { return &c.TLS.ACMERoots },
		},
		{
			Key: "tls.email", Doc: "Where the certificate authority writes to when something is wrong. May be empty.", Want: "an e-mail address",
			value: func(c *Config) any { return &c.TLS.Email },
		},
		{
			Key: "tls.redirect", Doc: "Send plain requests on to HTTPS, for hosts that have a certificate.", Want: "true or false",
			value: func(c *Config) any { return &c.TLS.Redirect },
		},
		{
			Key: "tls.hsts", Doc: "Tell browsers to use HTTPS alone for so long (Strict-Transport-Security); 0s: do not. Browsers remember it: begin with a short time.", Want: "a duration from 0s, such as 24h",
			value: func(c *Config) any { return &c.TLS.HSTS }, check: func(c *Config) bool { return c.TLS.HSTS >= 0 && c.TLS.HSTS <= maxHSTS },
		},
	}
}

func validHTTPS(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Scheme == "https" && u.Host != "" && u.User == nil
}

// checkTLS finds what does not go together.
func (e *Effective) checkTLS() error {
	t := &e.TLS
	switch {
	case (t.Cert == "") != (t.Key == ""):
		return &Error{Where: e.Origins["tls.cert"], Key: "tls.cert", Reason: "tls.cert and tls.key belong together; set both or neither"}
	case t.Mode == TLSFiles && t.Cert == "":
		return &Error{Where: e.Origins["tls.mode"], Key: "tls.mode", Value: t.Mode, Reason: "tls.mode files needs tls.cert and tls.key"}
	case t.Mode != TLSOff && t.Port != 0 && (t.Port == e.Port || t.Port == e.API.Port):
		return &Error{Where: e.Origins["tls.port"], Key: "tls.port", Reason: "tls.port is the port of another listener; give it one of its own, with --tls-port"}
	}
	return nil
}
