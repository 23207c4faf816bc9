package bundle

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"

	"github.com/evanw/esbuild/pkg/api"
)

const (
	assetScheme    = "assets:"
	assetNamespace = "assets" // shows up in the code, so it is wrangler's name
)

// assetFolders resolves imports of "assets:" and a folder: a module with a handler of Functions that answers with the
// folder's files. Plugins bring their files so.
func (o *Options) assetFolders() api.Plugin {
	return api.Plugin{Name: "asset folders", Setup: func(b api.PluginBuild) {
		var mu sync.Mutex
		b.OnResolve(api.OnResolveOptions{Filter: "^" + assetScheme}, func(args api.OnResolveArgs) (api.OnResolveResult, error) {
			if o.AssetFolder == nil {
				return api.OnResolveResult{}, errors.New("folders can be imported with \"assets:\" by Functions only")
			}
			mu.Lock()
			defer mu.Unlock()
			at, err := o.AssetFolder(filepath.Join(args.ResolveDir, filepath.FromSlash(strings.TrimPrefix(args.Path, assetScheme))))
			return api.OnResolveResult{Path: at, Namespace: assetNamespace}, err
		})
		b.OnLoad(api.OnLoadOptions{Filter: ".*", Namespace: assetNamespace}, func(args api.OnLoadArgs) (api.OnLoadResult, error) {
			text := fmt.Sprintf(assetHandler, quote(args.Path))
			return api.OnLoadResult{Contents: &text, Loader: api.LoaderJS}, nil
		})
	}}
}

// assetHandler answers below the folder of the function that it stands for.
const assetHandler = `export const onRequest = ({ request, env, functionPath }) => {
  const url = new URL(request.url);
  const mount = functionPath === "/" ? "" : functionPath;
  const rest = url.pathname.startsWith(mount) ? url.pathname.slice(mount.length) : url.pathname;
  url.pathname = %s + (rest.startsWith("/") ? rest : "/" + rest);
  return env.ASSETS.fetch(new Request(url, request));
};
`
