// Package examples has the apps of this folder that "selvage new" writes, in the program.
package examples

import "embed"

// Files are the apps' folders, ask.mjs, which their tests import, and ci, what a
// repository of one gets to be deployed by a push.
//
//go:embed ask.mjs ci
//go:embed all:pattern-1-site-and-api all:pattern-2-database all:pattern-3-semantic-search
//go:embed all:workflow-1-site-api-database all:workflow-2-vector-search
var Files embed.FS

// App is one of them.
type App struct {
	Name   string   // what "selvage new" calls it
	Folder string   // in Files
	Shows  string   // in a few words
	Asks   []string // the environment variables that its tests read
}

// Apps returns all that can be written.
func Apps() []App {
	return []App{
		{"1", "pattern-1-site-and-api", "a Pages site that renders what a Worker gives it", []string{"SITE", "API", "API_TOKEN"}},
		{"2", "pattern-2-database", "a Worker that searches and reads D1", []string{"URL"}},
		{"3", "pattern-3-semantic-search", "a Worker that finds papers by meaning", []string{"URL"}},
		{"workflow-1", "workflow-1-site-api-database", "Pages in advanced mode, a Worker and D1", []string{"SITE", "API"}},
		{"workflow-2", "workflow-2-vector-search", "a site with search by meaning", []string{"SITE", "ADMIN_TOKEN"}},
	}
}
