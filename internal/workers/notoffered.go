package workers

import "strings"

// notOffered returns the types of bindings that the original platform has and
// this release has not, each with what to do instead. A type that is offered
// from now on loses its line; the test of this table then asks for it elsewhere.
func notOffered() map[string]string {
	const (
		viaFetch = "Call the service's HTTP API with fetch."
		noEqual  = "There is nothing of the kind here."
	)
	return map[string]string{ //nolint:gosec // names of types, no credentials
		"vectorize":            "A vector database of your own can be reached with fetch.",
		"r2_bucket":            "An object store that speaks S3 can be reached with fetch.",
		"queue":                "A queue that speaks HTTP can be reached with fetch.",
		"workflow":             noEqual,
		"hyperdrive":           "Databases can be reached with connect(), where an egress rule allows it.",
		"analytics_engine":     "Write to the console and search with `selvage logs`, or send data points with fetch.",
		"send_email":           "Send mail through a provider's HTTP API with fetch.",
		"browser":              "A browser of your own can be reached with fetch.",
		"images":               "An image service of your own can be reached with fetch.",
		"stream":               viaFetch,
		"media":                viaFetch,
		"worker_loader":        noEqual,
		"secrets_store_secret": "Set the value with `wrangler secret put`.",
		"dispatch_namespace":   "Deploy each script as a Worker of its own.",
		"mtls_certificate":     "Put a proxy that holds the certificate in front of the origin.",
		"pipelines":            viaFetch,
		"ai_search":            viaFetch,
		"ai_search_namespace":  viaFetch,
		"agent_memory":         viaFetch,
		"vpc_service":          "Allow the private address with `selvage egress` and fetch it.",
		"vpc_network":          "Allow the private network with `selvage egress` and fetch it.",
		"logfwdr":              "Write to the console and read it with `selvage logs`.",
		"artifacts":            noEqual,
		"flagship":             viaFetch,
		"k2":                   noEqual,
		"secret_key":           "Set the key as text with `wrangler secret put` and import it with crypto.subtle.importKey.",
	}
}

// refuseType is the error for a type that resolveBinding does not know.
func refuseType(name, typ string) error {
	switch hint, known := notOffered()[typ]; {
	case known:
		return fail(CodeNotOffered, 400, "The binding %q is of type %q, which this release does not offer. Remove it from the configuration. %s", name, typ, hint)
	case strings.HasPrefix(typ, "unsafe_"):
		return fail(CodeNotOffered, 400, "The binding %q is of the internal type %q, which this platform does not offer. Remove it from the configuration.", name, clip(typ))
	}
	return fail(CodeNotOffered, 400, "The binding %q is of type %q, which this release does not know. Remove it from the configuration.", name, clip(typ))
}
