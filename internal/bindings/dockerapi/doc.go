// Package dockerapi answers the part of the Docker Engine's API that the runtime
// uses to run the containers of Durable Objects, for one process of a worker. There
// is no Docker behind it: the service of instances runs them.
//
// What the runtime does for one start (its container-client):
//
//	GET    /networks/bridge              where to listen for what leaves containers
//	POST   /containers/create?name=…-proxy, …/start, GET …/json
//	                                     a container that passes connections on; here that
//	                                     is the platform itself, see [gateway]
//	PUT    /egress, GET /ca              to the gateway
//	POST   /containers/create?name=…, …/start
//	POST   /containers/…/wait            until it ends
//	DELETE /containers/…?force=true
//	CONNECT 127.0.0.1:<port>             to the gateway, for each connection to a port
//
// # Invariants
//
//   - The socket belongs to one process. It knows that process's instances and the
//     images of its classes, and nothing else, whoever they belong to.
//   - What would widen what a container may do is refused: binds, devices,
//     capabilities, security options, namespaces of the machine. The runtime asks for
//     the machine's processes (PidMode "host") when a compatibility flag is not set;
//     the container gets its own in any case.
//   - The gateway listens in the network namespace of the process that asks, and
//     nowhere else.
package dockerapi
