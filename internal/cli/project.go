package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/selvage-dev/selvage/client"
	"github.com/selvage-dev/selvage/internal/project"
)

// projectFlags say which worker a command is about.
type projectFlags struct {
	file, env, name string
	envSet          func() bool // --env was given, if only as ""
}

func (f *projectFlags) add(a *app, cmd *cobra.Command) {
	flags := cmd.Flags()
	f.envSet = func() bool { return flags.Changed("env") }
	// It hides the platform's own --config, which has no use here: SELVAGE_CONFIG still names that.
	flags.StringVarP(&f.file, "config", "c", "", "the project's configuration (default: wrangler.json, .jsonc or .toml here or above)")
	flags.StringVarP(&f.env, "env", "e", "", "environment of the configuration (CLOUDFLARE_ENV)")
	flags.StringVar(&f.name, "name", "", "name of the worker")
	_ = cmd.RegisterFlagCompletionFunc("name", a.completeWorkers) // fails only for a flag that is not there
}

// load reads the project's configuration; without one, the project is this folder.
func (a *app) loadProject(f *projectFlags) (*project.Config, error) {
	dir, err := os.Getwd()
	if err != nil {
		return nil, fmt.Errorf("find the current folder: %w", err)
	}
	o := project.Options{Dir: dir, File: f.file, Env: f.env}
	if !f.envSet() {
		o.Env = a.getenv("CLOUDFLARE_ENV")
	}
	if o.File != "" {
		if o.File, err = filepath.Abs(o.File); err != nil {
			return nil, err
		}
	}
	c, err := project.Load(o)
	if errors.Is(err, project.ErrNoConfig) {
		return project.Empty(dir), nil
	}
	if c != nil {
		for _, w := range c.Warnings {
			a.warn(w)
		}
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

// warn writes a warning for the person at the terminal.
func (a *app) warn(text string) {
	for i, line := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		if i == 0 {
			line = "warning: " + line
		}
		a.note("%s", printable(line))
	}
}

// worker returns the name of the worker that a command is about.
func (a *app) worker(f *projectFlags) (string, error) {
	if f.name != "" {
		return f.name, nil
	}
	c, err := a.loadProject(f)
	if err != nil {
		return "", err
	}
	if c.Name == "" {
		return "", errors.New("which worker? Give --name, or run this in a project whose configuration has a \"name\"")
	}
	return c.Name, nil
}

// forWorker calls fn with a client and the worker that a command is about.
func (a *app) forWorker(cmd *cobra.Command, f *projectFlags, fn func(context.Context, *client.Client, string) error) error {
	name, err := a.worker(f)
	if err != nil {
		return err
	}
	return a.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
		c, err := settleAccount(ctx, c)
		if err != nil {
			return err
		}
		return plainError(fn(ctx, c, name), name)
	})
}

// settleAccount finds the account when no variable names it.
func settleAccount(ctx context.Context, c *client.Client) (*client.Client, error) {
	if c.Account() != "" {
		return c, nil
	}
	list, err := c.Accounts(ctx)
	switch {
	case err != nil:
		return nil, err
	case len(list) != 1:
		return nil, fmt.Errorf("the token reaches %d accounts; name one in %s", len(list), envAccount)
	}
	return c.ForAccount(list[0].ID), nil
}

// plainError turns the API's answer into what a person needs to know.
func plainError(err error, worker string) error {
	var e *client.Error
	if !errors.As(err, &e) {
		return err
	}
	if e.Code == client.CodeNotFound && e.Message == "" {
		return fmt.Errorf("there is no worker %q", worker)
	}
	text := e.Message
	if e.Code != 0 {
		text += fmt.Sprintf(" [code: %d]", e.Code)
	}
	if e.Ray != "" {
		text += " [ray: " + e.Ray + "]"
	}
	return &apiError{text: text, err: err}
}

// apiError is an answer of the API in words.
type apiError struct {
	text string
	err  error
}

func (e *apiError) Error() string { return e.text }
func (e *apiError) Unwrap() error { return e.err }

// completionPatience is how long a shell waits for names.
const completionPatience = 2 * time.Second

// completeWorkers offers the names of workers to a shell.
func (a *app) completeWorkers(cmd *cobra.Command, _ []string, prefix string) ([]string, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(cmd.Context(), completionPatience)
	defer cancel()
	var names []string
	err := a.call(ctx, func(ctx context.Context, c *client.Client) error {
		c, err := settleAccount(ctx, c)
		if err != nil {
			return err
		}
		list, err := c.Scripts(ctx)
		for _, s := range list {
			if strings.HasPrefix(s.ID, prefix) {
				names = append(names, s.ID)
			}
		}
		return err
	})
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
