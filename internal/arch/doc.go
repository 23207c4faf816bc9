// Package arch holds the import rule of the project as a test.
//
// Doors (edge, api, bindings, dashboard) call services (workers, accounts and
// the ones to come); services never call one another or a door; tools know
// nothing above them. The server package wires everything and the cli package
// talks to a running platform through the client package. Only supervise
// starts processes and only fsx makes, writes or renames files.
package arch
