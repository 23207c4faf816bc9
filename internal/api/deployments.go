package api

import (
	"github.com/selvage-dev/selvage/internal/workers"
)

type deploymentJSON struct {
	ID          string                      `json:"id"`
	Source      string                      `json:"source"`
	Strategy    string                      `json:"strategy"`
	AuthorEmail string                      `json:"author_email"`
	CreatedOn   stamp                       `json:"created_on"`
	Annotations map[string]string           `json:"annotations"`
	Versions    []workers.DeploymentVersion `json:"versions"`
}

func newDeploymentJSON(d *workers.Deployment) deploymentJSON {
	return deploymentJSON{
		ID: d.ID, Source: d.Origin.Source, Strategy: d.Strategy, AuthorEmail: d.Origin.AuthorEmail,
		CreatedOn: stamp(d.CreatedAt), Annotations: annotations(d.Annotations), Versions: list(d.Versions),
	}
}

type deploymentsJSON struct {
	Deployments []deploymentJSON `json:"deployments"`
}

// maxDeployments bounds the list: what is older has no use but in the log.
const maxDeployments = 100

// listDeployments answers newest first: wrangler takes the first one as the live one.
func listDeployments(c *call) (any, error) {
	all, err := c.Workers.Deployments(c.ctx(), c.account(), c.script(), maxDeployments)
	if err != nil {
		return nil, err
	}
	out := deploymentsJSON{Deployments: make([]deploymentJSON, len(all))}
	for i := range all {
		out.Deployments[i] = newDeploymentJSON(&all[i])
	}
	return out, nil
}

// deployJSON leaves out code_update_strategy on purpose: it says how Durable Objects move to new
// code.
type deployJSON struct {
	Strategy    string                      `json:"strategy"`
	Versions    []workers.DeploymentVersion `json:"versions"`
	Annotations map[string]string           `json:"annotations"`
}

func createDeployment(c *call) (any, error) {
	force, err := boolParam(c.query(), "force")
	if err != nil {
		return nil, err
	}
	var in deployJSON
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	d, err := c.Workers.Deploy(c.ctx(), c.account(), c.script(), workers.DeployRequest{
		Strategy: in.Strategy, Versions: in.Versions, Annotations: in.Annotations, Force: force, Origin: c.origin(),
	})
	if err != nil {
		return nil, err
	}
	return newDeploymentJSON(&d), nil
}
