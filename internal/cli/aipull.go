package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/selvage-dev/selvage/client"
	"github.com/selvage-dev/selvage/internal/telemetry"
)

func (a *app) aiPull() *cobra.Command {
	var yes, dry bool
	var p client.AIPull
	cmd := &cobra.Command{
		Use:   "pull MODEL",
		Short: "Download a model of the catalogue",
		Long: `Has the platform download a model of the catalogue from the hub (ai.hubs). The revision
and the digests of that moment are recorded. A pull that breaks off goes on where it was.`,
		Example: `  selvage ai pull @cf/baai/bge-small-en-v1.5
  selvage ai pull @cf/baai/bge-small-en-v1.5 --dry-run
  selvage ai pull @cf/baai/bge-small-en-v1.5 --revision main --yes`,
		Args: oneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			p.Name = args[0]
			return a.pull(cmd.Context(), p, pullFlags{yes, dry})
		},
	}
	cmd.Flags().StringVar(&p.Revision, "revision", "", "a commit, tag or branch of the repository; the newest otherwise")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "show what would be downloaded")
	cmd.Flags().BoolVar(&a.json, "json", false, "print JSON")
	return cmd
}

type pullFlags struct{ yes, dry bool }

// pull shows what a model takes, asks, and downloads it.
func (a *app) pull(ctx context.Context, p client.AIPull, f pullFlags) error {
	return a.vectorOn(ctx, func(ctx context.Context, c *client.Client) error {
		plan, err := c.PlanAIPull(ctx, p)
		if err != nil {
			return err
		}
		if f.dry {
			return a.printPull(&plan)
		}
		if !f.yes && !a.confirm(fmt.Sprintf("Download %s, %s of %s (%.12s)?", printable(p.Name), sizeText(plan.Size), printable(plan.Repository), plan.Revision)) {
			return errors.New("nothing was downloaded; say --yes to download without being asked")
		}
		p.Revision = plan.Revision // what was shown is what comes
		terminal := telemetry.IsTerminal(a.Stderr)
		m, err := c.PullAIModel(ctx, p, func(file string, done, total int64) {
			if terminal {
				fmt.Fprintf(a.Stderr, "\r\x1b[K%3d %%  %s of %s  %s", 100*done/max(total, 1), sizeText(done), sizeText(total), printable(file)) //nolint:errcheck // nowhere else to tell
			}
		})
		if terminal {
			fmt.Fprint(a.Stderr, "\r\x1b[K") //nolint:errcheck // as above
		}
		if err != nil {
			return err
		}
		return a.printAdded(&m)
	})
}

func (a *app) printPull(plan *client.AIPlan) error {
	if a.json {
		return a.printJSON(plan)
	}
	for _, file := range plan.Files {
		a.printf("%10s  %s\n", sizeText(file.Size), printable(file.Path))
	}
	a.printf("%10s  %s at %s\n", sizeText(plan.Size), printable(plan.Repository), plan.Revision)
	return nil
}

func (a *app) printAdded(m *client.AIStoredModel) error {
	if a.json {
		return a.printJSON(m)
	}
	a.printf("%s: %s, %s, %s\n", printable(m.Name), m.Kind, sizeText(m.Size), m.State)
	if m.Hint != "" {
		a.note("%s", printable(m.Hint))
	}
	return nil
}

func (a *app) aiAdd() *cobra.Command {
	var yes bool
	var from, task, revision string
	cmd := &cobra.Command{
		Use:   "add MODEL --from DIR|FILE|hub:OWNER/NAME[/FILE.gguf]",
		Short: "Add a model of your own, or files that you have",
		Long: `Adds a model from a folder as Hugging Face lays it out (config.json, tokenizer.json,
model*.safetensors), from one GGUF file, or from a repository of the hub, or one GGUF file
of such a repository. A model of your own has a name of your own, such as @mine/embed; under a name of the catalogue you may add
that model's files when you have them already.`,
		Example: `  selvage ai add @mine/embed --from ./my-model
  selvage ai add @mine/reranker --from hub:acme/reranker --task reranking
  selvage ai add @mine/writer --from hub:acme/writer/writer-q4_k_m.gguf
  selvage ai add @cf/baai/bge-small-en-v1.5 --from /mnt/stick/bge-small-en-v1.5`,
		Args: oneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			if from == "" {
				return usage(cmd, errors.New("say with --from where the model is"))
			}
			if repository, ok := strings.CutPrefix(from, "hub:"); ok {
				return a.pull(cmd.Context(), client.AIPull{Name: args[0], Repository: repository, Revision: revision, Kind: task}, pullFlags{yes: yes})
			}
			b, err := packModel(args[0], task, from)
			if err != nil {
				return err
			}
			return a.vectorOn(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				m, err := c.ImportAIModel(ctx, "", "", b.open)
				if err != nil {
					return err
				}
				return a.printAdded(&m)
			})
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "a folder, a GGUF file, hub:OWNER/NAME, or hub:OWNER/NAME/FILE.gguf")
	cmd.Flags().StringVar(&task, "task", "", "embeddings, embeddings-m3, reranking, classification or generation; what config.json says otherwise")
	cmd.Flags().StringVar(&revision, "revision", "", "with hub: a commit, tag or branch; the newest otherwise")
	cmd.Flags().BoolVar(&yes, "yes", false, "with hub: do not ask")
	cmd.Flags().BoolVar(&a.json, "json", false, "print JSON")
	return cmd
}
