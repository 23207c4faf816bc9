// Package instances is the service that runs containers: the instances that belong
// to Durable Objects. Which image an object's class runs, and with what limits, is
// decided elsewhere ([Applications]); here it is unpacked, started, watched, ended.
package instances
