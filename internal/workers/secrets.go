package workers

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"strings"
)

// sealContext is what a secret is bound to: sealed for one place, it opens in no other.
func sealContext(sc scope, name string) []byte {
	return []byte(strings.Join([]string{"workers secret", sc.account, sc.script, name}, "\x00"))
}

// seal makes the stored form of a secret.
func (s *Service) seal(sc scope, name, text string) (binding, error) {
	if err := s.checkBindingSize(name, len(text)); err != nil {
		return binding{}, err
	}
	where := sealContext(sc, name)
	sealed, err := s.o.Store.Keys.Seal([]byte(text), where)
	if err != nil {
		return binding{}, internal("seal a secret", err)
	}
	mark := s.o.Store.Keys.MAC("workers secret mark", slices.Concat(where, []byte{0}, []byte(text)))
	return binding{Name: name, Type: typeSecretText, Sealed: sealed, Mark: mark}, nil
}

func (s *Service) unseal(sc scope, b *binding) (string, error) {
	text, err := s.o.Store.Keys.Open(b.Sealed, sealContext(sc, b.Name))
	return string(text), err
}

// Secrets lists the secrets of the latest version, by name.
func (s *Service) Secrets(ctx context.Context, account, name string) ([]Secret, error) {
	row, err := s.script(ctx, scope{account, name})
	if err != nil {
		return nil, err
	}
	out := []Secret{}
	latest, err := s.latestVersion(ctx, row.id)
	if err != nil || latest == nil {
		return out, err
	}
	for _, b := range latest.doc.Bindings {
		if b.Type == typeSecretText {
			out = append(out, Secret{Name: b.Name, Type: b.Type})
		}
	}
	slices.SortFunc(out, func(a, b Secret) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// PutSecret sets a secret: a new version with it is made from the latest one
// and deployed. Errors: CodeVersionNotDeployed when the latest version is not
// deployed alone, CodeNotFound, CodeInvalidScript when the script does not
// start with it. After an error nothing has changed.
func (s *Service) PutSecret(ctx context.Context, account, name, secret, text string, origin Origin) (Secret, error) {
	if _, err := s.PatchSecrets(ctx, account, name, []SecretPatch{{Name: secret, Text: &text}}, origin); err != nil {
		return Secret{}, err
	}
	return Secret{Name: secret, Type: typeSecretText}, nil
}

// DeleteSecret deletes a secret as [Service.PutSecret] sets one. The error is
// CodeSecretNotFound when there is none of that name.
func (s *Service) DeleteSecret(ctx context.Context, account, name, secret string, origin Origin) error {
	sc := scope{account, name}
	_, err := s.patch(ctx, sc, patchRequest{
		LatestPatch: &LatestPatch{Env: []SecretPatch{{Name: secret}}, Origin: origin}, deploy: true,
		check: func(latest *document) error {
			if b := latest.binding(secret); b == nil || b.Type != typeSecretText {
				return fail(CodeSecretNotFound, 404, "The Worker has no secret %q.", clip(secret))
			}
			return nil
		},
	})
	return err
}

// PatchSecrets sets and deletes secrets in one new version, which is deployed,
// and returns the secrets there are then. To delete one that does not exist is
// no error.
func (s *Service) PatchSecrets(ctx context.Context, account, name string, patches []SecretPatch, origin Origin) ([]Secret, error) {
	if _, err := s.patch(ctx, scope{account, name}, patchRequest{LatestPatch: &LatestPatch{Env: patches, Origin: origin}, deploy: true}); err != nil {
		return nil, err
	}
	return s.Secrets(ctx, account, name)
}

// PatchLatestVersion makes a version from the latest one with other secrets and
// does not deploy it. The error is CodeNoVersions when there is none.
func (s *Service) PatchLatestVersion(ctx context.Context, account, name string, p LatestPatch) (Version, error) {
	if err := checkAnnotations(p.Annotations); err != nil {
		return Version{}, err
	}
	sc := scope{account, name}
	v, err := s.patch(ctx, sc, patchRequest{LatestPatch: &p})
	if err != nil {
		return Version{}, err
	}
	return v.public(sc), nil
}

// patchRequest is a LatestPatch that may be deployed.
type patchRequest struct {
	*LatestPatch
	deploy bool
	check  func(latest *document) error // nil: nothing to check
}

// patch makes a version from the latest one with other secrets.
func (s *Service) patch(ctx context.Context, sc scope, p patchRequest) (*versionRow, error) {
	unlock, err := s.locks.lock(ctx, sc)
	if err != nil {
		return nil, err
	}
	defer unlock()
	row, err := s.script(ctx, sc)
	if err != nil {
		return nil, err
	}
	latest, err := s.latestVersion(ctx, row.id)
	if err != nil {
		return nil, err
	}
	if latest == nil {
		return nil, fail(CodeNoVersions, 404, "The Worker %s has no version yet. Deploy it first.", sc.script)
	}
	if p.deploy {
		if err := s.checkLatestLive(ctx, row, latest); err != nil {
			return nil, err
		}
	}
	if p.check != nil {
		if err := p.check(&latest.doc); err != nil {
			return nil, err
		}
	}
	doc := latest.doc // its slices and maps are not written to
	if doc.Bindings, err = s.patchBindings(sc, latest.doc.Bindings, p.Env); err != nil {
		return nil, err
	}
	doc.Origin = p.Origin
	doc.Annotations = maps.Clone(p.Annotations)
	if doc.Annotations == nil {
		doc.Annotations = make(map[string]string)
	}
	if doc.Annotations[AnnotationTriggeredBy] == "" {
		doc.Annotations[AnnotationTriggeredBy] = "secret"
	}
	v, _, err := s.save(ctx, row, &newVersion{
		doc: &doc, deploy: p.deploy, alias: p.Annotations[AnnotationAlias], origin: p.Origin,
		annotations: map[string]string{AnnotationTriggeredBy: "secret"},
	})
	return v, err
}

// checkLatestLive refuses to change secrets of what is not deployed: the change
// would deploy the latest version's code along with it.
func (s *Service) checkLatestLive(ctx context.Context, row *scriptRow, latest *versionRow) error {
	live, err := s.liveDeployment(ctx, row.id)
	if err != nil {
		return err
	}
	if live == nil || live.doc.sole() != latest.id {
		return fail(CodeVersionNotDeployed, 400, "The latest version of the Worker is not deployed, and to change a secret would deploy it. Deploy it first, or make a version with the secret by `versions secret`.")
	}
	return nil
}

func (s *Service) patchBindings(sc scope, old []binding, patches []SecretPatch) ([]binding, error) {
	out := slices.Clone(old)
	seen := make(map[string]bool)
	for _, p := range patches {
		if err := checkBindingName(p.Name); err != nil {
			return nil, err
		}
		if seen[p.Name] {
			return nil, fail(CodeInvalidBinding, 400, "The secret %q is named twice.", clip(p.Name))
		}
		seen[p.Name] = true
		i := slices.IndexFunc(out, func(b binding) bool { return b.Name == p.Name })
		if i >= 0 && out[i].Type != typeSecretText {
			return nil, fail(CodeInvalidBinding, 400, "The binding %q is of type %s already. Remove it from the configuration, or give the secret another name.", p.Name, out[i].Type)
		}
		if p.Text == nil {
			if i >= 0 {
				out = slices.Delete(out, i, i+1)
			}
			continue
		}
		b, err := s.seal(sc, p.Name, *p.Text)
		if err != nil {
			return nil, err
		}
		switch {
		case i < 0:
			out = append(out, b)
		case !bytes.Equal(out[i].Mark, b.Mark): // with the same text, keep what is there
			out[i] = b
		}
	}
	if len(out) > s.o.MaxBindings {
		return nil, fail(CodeInvalidBinding, 400, "The Worker would have %d bindings; at most %d are allowed.", len(out), s.o.MaxBindings)
	}
	return out, nil
}
