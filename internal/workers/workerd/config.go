package workerd

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"capnproto.org/go/capnp/v3"
)

// Names of services in the config. Workers cannot name services, only bindings,
// so these cannot clash with anything of theirs.
const (
	serviceUser   = "user"
	serviceReady  = "ready"
	serviceDisk   = "objects"  // the folder of the Durable Objects
	serviceRemote = "remote"   // calls to objects from process to process
	serviceNone   = "internet" // replaces workerd's own, which could reach everything
	servicePrefix = "door:"    // plus the file name of the socket
)

// Sockets in the config; workerd gets them as open descriptors.
const (
	socketUser  = "http"
	socketReady = "ready"
)

// A plan is everything that goes into the config of one process.
type plan struct {
	worker  *Worker
	v8Flags []string
	// modules are the worker's, with our entry module first, unless the worker
	// is a script in service-worker syntax.
	modules    []Module
	extensions []extensionModule
	// prelude is the name of the binding that makes the runtime load the module for
	// listeners before a script in service-worker syntax runs.
	prelude string
	objects *plan // see remote; nil: there is none
}

type extensionModule struct {
	name     string
	source   string
	internal bool
}

// encodeConfig returns the binary config as a stream in two parts.
func encodeConfig(p *plan) (header, segment []byte, err error) {
	b := newBuilder(p.estimate())
	root := b.root(wordBytes, configPtrs)
	logging := b.child(root, configLogging, wordBytes, loggingPtrs)
	b.flag(logging, loggingStructured)
	if len(p.v8Flags) > 0 {
		b.texts(root, configV8Flags, p.v8Flags)
	}
	p.encodeServices(b, root)
	p.encodeSockets(b, root)
	p.encodeExtensions(b, root)
	return b.finish()
}

// estimate bounds the size of the message from above, so that the segment never
// has to grow (and be copied). Overhead: a struct with its pointers, padding and
// text terminators stays below 256 bytes.
func (p *plan) estimate() int {
	const each = 256
	n := 16 * each
	for _, m := range p.modules {
		n += len(m.Name) + len(m.Body) + each
	}
	for _, m := range p.extensions {
		n += len(m.name) + len(m.source) + each
	}
	for _, f := range slices.Concat(p.v8Flags, p.worker.CompatibilityFlags) {
		n += len(f) + each
	}
	for _, o := range p.worker.Objects {
		n += 2*len(o.Class) + len(o.Key) + each
		for _, name := range o.Images {
			n += 2*len(name) + len(o.Class) + each
		}
	}
	n += len(p.worker.Storage) + len(p.prelude)
	if p.objects != nil {
		n += p.objects.estimate()
	}
	for _, s := range p.worker.Sockets {
		n += len(s.File) + len(s.Entrypoint) + len(s.Props) + each
	}
	return n + estimateBindings(p.worker.Bindings)
}

func estimateBindings(bs []Binding) int {
	const each = 1024 // with the external service that it may need
	n := 0
	for i := range bs {
		n += each + 3*len(bs[i].Socket) + len(bs[i].Class) + len(bs[i].Name) + len(bs[i].Entrypoint) + len(bs[i].Props) + len(bs[i].Text) + len(bs[i].Data)
		if w := bs[i].Wrapped; w != nil {
			n += len(w.Module) + len(w.Entrypoint) + estimateBindings(w.Inner)
		}
	}
	return n
}

func (p *plan) encodeServices(b *builder, root capnp.Struct) {
	doors := p.doors()
	n := 3 + len(doors)
	if p.worker.Storage != "" {
		n++
	}
	if p.objects != nil {
		n++
	}
	l := b.list(root, configServices, n, wordBytes, servicePtrs)
	if b.err != nil {
		return
	}

	user := l.Struct(0)
	b.text(user, serviceName, serviceUser)
	b.tag(user, serviceTagWorker)
	p.encodeWorker(b, b.child(user, serviceValue, wordBytes, workerPtrs))

	// What answers on the ready socket. It is no worker, which would cost 5 ms
	// of every start and 2 MB: a folder that is asked for a file it has not.
	ready := l.Struct(1)
	b.text(ready, serviceName, serviceReady)
	b.tag(ready, serviceTagDisk)
	b.text(b.child(ready, serviceValue, wordBytes, diskPtrs), diskPath, ".")

	none := l.Struct(2)
	b.text(none, serviceName, serviceNone)
	b.tag(none, serviceTagNetwork)
	b.texts(b.child(none, serviceValue, 0, networkPtrs), networkAllow, []string{})

	for i, d := range doors {
		s := l.Struct(3 + i)
		b.text(s, serviceName, servicePrefix+d.socket)
		b.tag(s, serviceTagExternal)
		ext := b.child(s, serviceValue, wordBytes, externalPtrs)
		b.text(ext, externalAddress, "unix:"+d.socket)
		b.tag(ext, externalTagHTTP)
		opts := b.child(ext, externalHTTP, wordBytes, httpPtrs)
		encodeHTTPOptions(b, opts)
		if d.rpc {
			b.text(opts, httpCapnpConnect, ConnectHost)
		}
	}
	if p.worker.Storage != "" {
		n--
		encodeDisk(b, l.Struct(n), p.worker.Storage)
	}
	if p.objects != nil {
		encodeRemote(b, l.Struct(n-1), p.objects)
	}
}

// outDoor is a socket that the worker may reach.
type outDoor struct {
	socket string
	rpc    bool
}

// doors returns the sockets that the worker may reach, each once, in a stable
// order.
func (p *plan) doors() []outDoor {
	var out []outDoor
	if p.worker.Egress {
		out = append(out, outDoor{socket: EgressSocket})
	}
	if p.worker.Assets != "" {
		out = append(out, outDoor{socket: AssetsSocket})
	}
	if p.worker.Cache {
		out = append(out, outDoor{socket: CacheSocket})
	}
	out = appendDoors(out, p.worker.Bindings)
	for _, r := range p.worker.Remote {
		out = append(out, outDoor{r.Socket, true})
	}
	slices.SortFunc(out, func(a, b outDoor) int { return strings.Compare(a.socket, b.socket) })
	return slices.Compact(out)
}

func appendDoors(out []outDoor, bs []Binding) []outDoor {
	for i := range bs {
		switch bs[i].Kind {
		case FetcherBinding, KVBinding:
			out = append(out, outDoor{bs[i].Socket, bs[i].RPC})
		case WrappedBinding:
			out = appendDoors(out, bs[i].Wrapped.Inner)
		case TextBinding, JSONBinding, DataBinding, WasmBinding, ObjectBinding, SelfBinding:
		}
	}
	return out
}

func encodeHTTPOptions(b *builder, s capnp.Struct) {
	b.text(s, httpForwardedProto, HeaderProto)
	b.text(s, httpCFBlob, HeaderCF)
}

func (p *plan) encodeWorker(b *builder, s capnp.Struct) {
	w := p.worker
	if w.ServiceWorker {
		b.tag(s, workerTagScript)
		b.textBytes(s, workerCode, w.Modules[0].Body)
	} else {
		b.tag(s, workerTagModules)
		encodeModules(b, s, p.modules)
	}
	b.text(s, workerDate, w.CompatibilityDate)
	b.texts(s, workerFlags, p.flags())
	outbound := serviceNone
	if w.Egress {
		outbound = servicePrefix + EgressSocket
	}
	encodeDesignator(b, s, workerGlobalOutbound, outbound)
	if w.Cache {
		encodeDesignator(b, s, workerCacheOutbound, servicePrefix+CacheSocket)
	}
	bindings := w.aimed()
	if w.Assets != "" {
		bindings = append(slices.Clone(bindings), Binding{Name: w.Assets, Kind: FetcherBinding, Socket: AssetsSocket})
	}
	if p.prelude != "" {
		bindings = append(slices.Clone(bindings), Binding{Name: p.prelude, Kind: WrappedBinding, Wrapped: &Wrapped{Module: moduleListeners, Inner: preludeInner(p.worker)}})
	}
	encodeBindings(b, s, workerBindings, bindings)
	encodeObjects(b, s, w)
	encodeContainers(b, s, w)
}

// flags returns the worker's compatibility flags. A script in service-worker
// syntax has no console output with the old module registry (workerd.capnp,
// LoggingOptions.structuredLogging); as it cannot import anything, the new one
// changes nothing else for it.
func (p *plan) flags() []string {
	const newRegistry, oldRegistry = "new_module_registry", "legacy_module_registry"
	flags := p.worker.CompatibilityFlags
	if p.worker.ServiceWorker && !slices.Contains(flags, newRegistry) && !slices.Contains(flags, oldRegistry) {
		return append(slices.Clone(flags), newRegistry)
	}
	return flags
}

func encodeDesignator(b *builder, parent capnp.Struct, i uint16, service string) {
	b.text(b.child(parent, i, wordBytes, designatorPtrs), designatorName, service)
}

// encodeEntrypoint designates an export of the worker itself.
func encodeEntrypoint(b *builder, parent capnp.Struct, i uint16, entrypoint, props string) {
	s := b.child(parent, i, wordBytes, designatorPtrs)
	b.text(s, designatorName, serviceUser)
	if entrypoint != "" {
		b.text(s, designatorEntrypoint, entrypoint)
	}
	if props != "" {
		b.tag(s, designatorTagJSON)
		b.text(s, designatorJSON, props)
	}
}

func encodeModules(b *builder, worker capnp.Struct, modules []Module) {
	l := b.list(worker, workerCode, len(modules), wordBytes, modulePtrs)
	for i := range modules {
		if b.err != nil {
			return
		}
		s := l.Struct(i)
		b.text(s, moduleName, modules[i].Name)
		encodeModuleBody(b, s, &modules[i])
	}
}

func encodeModuleBody(b *builder, s capnp.Struct, m *Module) {
	switch m.Kind {
	case ESModule:
		b.tag(s, moduleTagES)
		b.textBytes(s, moduleBody, m.Body)
	case CommonJSModule:
		b.tag(s, moduleTagCommonJS)
		b.textBytes(s, moduleBody, m.Body)
	case TextModule:
		b.tag(s, moduleTagText)
		b.textBytes(s, moduleBody, m.Body)
	case JSONModule:
		b.tag(s, moduleTagJSON)
		b.textBytes(s, moduleBody, m.Body)
	case DataModule:
		b.tag(s, moduleTagData)
		b.data(s, moduleBody, m.Body)
	case WasmModule:
		b.tag(s, moduleTagWasm)
		b.data(s, moduleBody, m.Body)
	case PythonModule: // validate refuses it
		fallthrough
	default:
		b.keep(fmt.Errorf("module %q is of unknown kind %d", m.Name, m.Kind))
	}
}

func encodeBindings(b *builder, parent capnp.Struct, ptr uint16, bs []Binding) {
	l := b.list(parent, ptr, len(bs), wordBytes, bindingPtrs)
	for i := range bs {
		if b.err != nil {
			return
		}
		s := l.Struct(i)
		b.text(s, bindingName, bs[i].Name)
		encodeBindingValue(b, s, &bs[i])
	}
}

func encodeBindingValue(b *builder, s capnp.Struct, v *Binding) {
	switch v.Kind {
	case TextBinding:
		b.tag(s, bindingTagText)
		b.text(s, bindingValue, v.Text)
	case JSONBinding:
		b.tag(s, bindingTagJSON)
		b.text(s, bindingValue, v.Text)
	case DataBinding:
		b.tag(s, bindingTagData)
		b.data(s, bindingValue, v.Data)
	case WasmBinding:
		b.tag(s, bindingTagWasm)
		b.data(s, bindingValue, v.Data)
	case FetcherBinding, SelfBinding:
		if v.Calls {
			plain := *v
			plain.Name, plain.Calls = "fetcher", false
			local := Binding{Name: "local", Kind: JSONBinding, Text: strconv.FormatBool(v.Kind == SelfBinding)}
			encodeWrapped(b, s, &Wrapped{Module: moduleService, Inner: []Binding{plain, local}})
			return
		}
		if v.TagRay {
			plain := *v
			plain.Name, plain.TagRay = "fetcher", false
			encodeWrapped(b, s, &Wrapped{Module: moduleTagged, Inner: []Binding{plain}})
			return
		}
		b.tag(s, bindingTagService)
		if v.Kind == SelfBinding {
			encodeEntrypoint(b, s, bindingValue, v.Entrypoint, v.Props)
			return
		}
		encodeDesignator(b, s, bindingValue, servicePrefix+v.Socket)
	case KVBinding:
		b.tag(s, bindingTagKV)
		encodeDesignator(b, s, bindingValue, servicePrefix+v.Socket)
	case WrappedBinding:
		encodeWrapped(b, s, v.Wrapped)
	case ObjectBinding:
		b.tag(s, bindingTagObject)
		encodeObjectBinding(b, s, v)
	default:
		b.keep(fmt.Errorf("binding %q is of unknown kind %d", v.Name, v.Kind))
	}
}

func encodeWrapped(b *builder, s capnp.Struct, w *Wrapped) {
	b.tag(s, bindingTagWrapped)
	ws := b.child(s, bindingValue, 0, wrappedPtrs)
	b.text(ws, wrappedModule, w.Module)
	if w.Entrypoint != "" {
		b.text(ws, wrappedEntrypoint, w.Entrypoint)
	}
	encodeBindings(b, ws, wrappedInner, w.Inner)
}

// socketName is what a descriptor that is handed over is called in the config.
func (s *Socket) socketName() string { return "rpc:" + s.File }

func (p *plan) encodeSockets(b *builder, root capnp.Struct) {
	l := b.list(root, configSockets, 2+len(p.worker.Sockets), socketBytes, socketPtrs)
	if b.err != nil {
		return
	}
	socket := func(i int, name string) (s, opts capnp.Struct) {
		s = l.Struct(i)
		b.text(s, socketName, name)
		b.tag(s, socketTagHTTP)
		return s, b.child(s, socketHTTP, wordBytes, httpPtrs)
	}
	user, opts := socket(0, socketUser)
	encodeHTTPOptions(b, opts)
	encodeDesignator(b, user, socketService, serviceUser)
	ready, _ := socket(1, socketReady)
	encodeDesignator(b, ready, socketService, serviceReady)
	for i := range p.worker.Sockets {
		if b.err != nil {
			return
		}
		in := &p.worker.Sockets[i]
		s, opts := socket(2+i, in.socketName())
		encodeHTTPOptions(b, opts)
		b.text(opts, httpCapnpConnect, ConnectHost)
		if in.Objects {
			encodeDesignator(b, s, socketService, serviceRemote)
			continue
		}
		encodeEntrypoint(b, s, socketService, in.Entrypoint, in.Props)
	}
}

func (p *plan) encodeExtensions(b *builder, root capnp.Struct) {
	l := b.list(root, configExtensions, 1, 0, extensionPtrs)
	if b.err != nil {
		return
	}
	ml := b.list(l.Struct(0), extensionModules, len(p.extensions), wordBytes, extModulePtrs)
	for i, m := range p.extensions {
		if b.err != nil {
			return
		}
		s := ml.Struct(i)
		b.text(s, extModuleName, m.name)
		if m.internal {
			b.flag(s, extModuleInternal)
		}
		b.text(s, extModuleSource, m.source)
	}
}
