package workerd

// Header fields between the platform and the runtime. A visitor's request must
// not bring any of them but HeaderRay, which the edge sets in any case.
const (
	// HeaderRay carries the id of a request; the worker sees it, as on the
	// platform it was written for.
	HeaderRay = "cf-ray"
	// HeaderCF carries request.cf as JSON. The runtime takes it out of incoming
	// requests and puts it into outgoing ones when fetch was given a cf object.
	HeaderCF = "selvage-cf"
	// HeaderProto carries the scheme, "http" or "https", of the request's URL.
	// The runtime takes it out of incoming requests and puts it into outgoing
	// ones.
	HeaderProto = "selvage-proto"
	// HeaderThrown marks an answer that stands for an exception of the fetch
	// handler of a worker that another one called; its body is {name, message}.
	HeaderThrown = "selvage-thrown"
	// HeaderBindingRay carries the ray of the request during which a binding
	// was called; see Binding.TagRay.
	HeaderBindingRay = "selvage-ray"
)

// ConnectHost is the target of a CONNECT request that turns a connection into
// one of Cap'n Proto RPC, on sockets that speak it.
const ConnectHost = "selvage-rpc"

// MaxDepth is how many calls of bindings may lead to one another, as on the
// original platform.
const MaxDepth = 32

// Files in a worker's private folder.
const (
	// EgressSocket is where outbound fetch and connect go.
	EgressSocket = "egress.sock"
	// AssetsSocket is where the assets binding goes.
	AssetsSocket = "assets.sock"
	// CacheSocket is where caches.default and caches.open go.
	CacheSocket = "cache.sock"
	// RateLimitSocket is where the rate limiting bindings go.
	RateLimitSocket = "ratelimit.sock"

	httpSocket  = "http.sock"
	readySocket = "ready.sock"
)
