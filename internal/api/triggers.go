package api

import (
	"strings"
)

// This release serves workers under their own hostnames only. An empty set of routes or
// domains is what a worker has then, so setting it to empty succeeds; anything else is refused by
// name.

// shown bounds how many of a list an error names.
const shown = 5

// refuse names what was asked for.
func refuse(what string, names []string) error {
	more := ""
	if len(names) > shown {
		names, more = names[:shown], ", …"
	}
	return notOffered("%s %s%s", what, strings.Join(names, ", "), more)
}

// exists fails when the script of the path does not exist.
func (c *call) exists() error {
	_, err := c.Workers.Script(c.ctx(), c.account(), c.script())
	return err
}

func emptyForScript(c *call) (any, error) { return []any{}, c.exists() }

func emptyPage(c *call) (any, error) { return page(c.query(), []any(nil)) }

func putRoutes(c *call) (any, error) {
	var in []struct {
		Pattern string `json:"pattern"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if len(in) > 0 {
		names := make([]string, len(in))
		for i := range in {
			names[i] = in[i].Pattern
		}
		return nil, refuse("the route", names)
	}
	return emptyForScript(c)
}

type domainJSON struct {
	Hostname string `json:"hostname"`
}

func refuseDomains(in []domainJSON) error {
	names := make([]string, len(in))
	for i := range in {
		names[i] = in[i].Hostname
	}
	return refuse("the custom domain", names)
}

type changesetJSON struct {
	Added       []any `json:"added"`
	Removed     []any `json:"removed"`
	Updated     []any `json:"updated"`
	Conflicting []any `json:"conflicting"`
}

func postDomains(c *call) (any, error) {
	var in []domainJSON
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if len(in) > 0 {
		return nil, refuseDomains(in)
	}
	return changesetJSON{Added: []any{}, Removed: []any{}, Updated: []any{}, Conflicting: []any{}}, c.exists()
}

func putDomains(c *call) (any, error) {
	var in struct {
		Origins []domainJSON `json:"origins"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if len(in.Origins) > 0 {
		return nil, refuseDomains(in.Origins)
	}
	return emptyForScript(c)
}
