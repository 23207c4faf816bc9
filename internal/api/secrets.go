package api

import (
	"maps"
	"slices"

	"github.com/selvage-dev/selvage/internal/workers"
)

// secretText is the one type of secret there is.
const secretText = "secret_text"

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

type secretJSON struct {
	Name string  `json:"name"`
	Type string  `json:"type"`
	Text *string `json:"text"`
}

// patch turns a secret to set into the service's form.
func (s *secretJSON) patch() (workers.SecretPatch, error) {
	switch {
	case s.Name == "":
		return workers.SecretPatch{}, errf(codeBadRequest, "a secret needs a name")
	case s.Type != "" && s.Type != secretText:
		return workers.SecretPatch{}, notOffered("the secret %q of type %q", s.Name, s.Type)
	case s.Text == nil:
		return workers.SecretPatch{}, errf(codeBadRequest, "the secret %q needs a text", s.Name)
	}
	return workers.SecretPatch{Name: s.Name, Text: s.Text}, nil
}

func listSecrets(c *call) (any, error) {
	all, err := c.Workers.Secrets(c.ctx(), c.account(), c.script())
	if err != nil {
		return nil, err
	}
	return list(all), nil
}

func putSecret(c *call) (any, error) {
	var in secretJSON
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if _, err := in.patch(); err != nil {
		return nil, err
	}
	return c.Workers.PutSecret(c.ctx(), c.account(), c.script(), in.Name, *in.Text, c.origin())
}

func getSecret(c *call) (any, error) {
	all, err := c.Workers.Secrets(c.ctx(), c.account(), c.script())
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(all, func(s workers.Secret) bool { return s.Name == c.params["secret"] })
	if i < 0 {
		return nil, &workers.Error{Code: workers.CodeSecretNotFound, Status: 404, Message: "there is no secret of this name; GET …/secrets lists those there are"}
	}
	return all[i], nil
}

// deleteSecret takes the name decoded, whether or not url_encoded=true says so: a path that is not
// encoded decodes to itself.
func deleteSecret(c *call) (any, error) {
	return nil, c.Workers.DeleteSecret(c.ctx(), c.account(), c.script(), c.params["secret"], c.origin())
}

type bulkJSON struct {
	Secrets map[string]*secretJSON `json:"secrets"`
}

// patchSecrets sets and deletes many secrets in one version: RFC 7396, null deletes.
func patchSecrets(c *call) (any, error) {
	var in bulkJSON
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	patch := make([]workers.SecretPatch, 0, len(in.Secrets))
	for _, name := range sortedKeys(in.Secrets) {
		s := in.Secrets[name]
		if s == nil {
			patch = append(patch, workers.SecretPatch{Name: name})
			continue
		}
		if s.Name != "" && s.Name != name {
			return nil, errf(codeBadRequest, "the secret under the key %q says that its name is %q", name, s.Name)
		}
		s.Name = name
		p, err := s.patch()
		if err != nil {
			return nil, err
		}
		patch = append(patch, p)
	}
	all, err := c.Workers.PatchSecrets(c.ctx(), c.account(), c.script(), patch, c.origin())
	return list(all), err
}
