package workerd

// Layout of the structs of workerd.capnp (schema id 0xe6afd26682091c01) that a
// config uses: sizes of the data section in bytes and of the pointer section in
// pointers, indexes of pointers, byte offsets of data, and values of union tags.
// The numbers are what `capnp compile -ocapnp workerd.capnp` prints (bits[a, b)
// there is byte a/8 here). Layouts never change in Cap'n Proto, they only grow,
// so a newer workerd reads these messages too.

// Every struct here with data has its union tag (bits[0, 16)), or its only flag, in
// the first word.
const wordBytes = 8

// From "struct Config": 8 bytes, 7 ptrs.
const (
	configPtrs       = 7
	configServices   = 0
	configSockets    = 1
	configV8Flags    = 2
	configExtensions = 3
	configLogging    = 5
)

// From "struct LoggingOptions": 8 bytes, 2 ptrs.
const (
	loggingPtrs       = 2
	loggingStructured = 0 // bit
)

// From "struct Socket": 16 bytes, 5 ptrs.
const (
	socketBytes   = 16
	socketPtrs    = 5
	socketName    = 0
	socketTagHTTP = 0
	socketHTTP    = 2
	socketService = 4
)

// From "struct Service": 8 bytes, 2 ptrs.
const (
	servicePtrs        = 2
	serviceName        = 0
	serviceTagWorker   = 1
	serviceTagNetwork  = 2
	serviceTagExternal = 3
	serviceTagDisk     = 4
	serviceValue       = 1
)

// From "struct ServiceDesignator": 8 bytes, 3 ptrs. The tag of props is 0 for
// the empty object.
const (
	designatorPtrs       = 3
	designatorName       = 0
	designatorEntrypoint = 1
	designatorTagJSON    = 1
	designatorJSON       = 2
)

// From "struct Worker": 8 bytes, 16 ptrs.
const (
	workerPtrs           = 16
	workerTagModules     = 0
	workerTagScript      = 1
	workerCode           = 0
	workerDate           = 1
	workerFlags          = 2
	workerBindings       = 3
	workerGlobalOutbound = 4
	workerObjects        = 5
	workerCacheOutbound  = 7
	workerLocalDisk      = 8
	workerDocker         = 12

	// The tag of containerEngine: byte offset and value.
	workerEngine       = 4
	workerEngineDocker = 1

	// The tag of durableObjectStorage: byte offset and values.
	workerStorage          = 2
	workerStorageInMemory  = 1
	workerStorageLocalDisk = 2
)

// From "struct Worker.DurableObjectNamespace": 8 bytes, 3 ptrs. The tag of the
// key is 0 for uniqueKey.
const (
	objectPtrs      = 3
	objectClass     = 0
	objectKey       = 1
	objectContainer = 2
	objectEnableSQL = 17 // bit
)

// From "struct Worker.DurableObjectNamespace.ContainerOptions": 0 bytes, 3 ptrs.
const (
	containerPtrs   = 3
	containerImage  = 0
	containerImages = 2
)

// From "struct Worker.DurableObjectNamespace.ContainerOptions.NamedImage": 0 bytes, 2 ptrs.
const (
	namedImagePtrs  = 2
	namedImageName  = 0
	namedImageImage = 1
)

// From "struct Worker.DockerConfiguration": 0 bytes, 3 ptrs.
const (
	dockerPtrs    = 3
	dockerSocket  = 0
	dockerGateway = 1
)

// From "struct Worker.Binding.DurableObjectNamespaceDesignator": 0 bytes, 3 ptrs.
const (
	objectBindingPtrs    = 3
	objectBindingClass   = 0
	objectBindingService = 1
)

// From "struct Worker.Module": 8 bytes, 3 ptrs.
const (
	modulePtrs        = 3
	moduleName        = 0
	moduleTagES       = 0
	moduleTagCommonJS = 1
	moduleTagText     = 2
	moduleTagData     = 3
	moduleTagWasm     = 4
	moduleTagJSON     = 5
	moduleBody        = 1
)

// From "struct Worker.Binding": 8 bytes, 6 ptrs.
const (
	bindingPtrs       = 6
	bindingName       = 0
	bindingTagText    = 2
	bindingTagData    = 3
	bindingTagJSON    = 4
	bindingTagWasm    = 5
	bindingTagService = 7
	bindingTagObject  = 8
	bindingTagKV      = 9
	bindingTagWrapped = 12
	bindingValue      = 1
)

// From "struct Worker.Binding.WrappedBinding": 0 bytes, 3 ptrs.
const (
	wrappedPtrs       = 3
	wrappedModule     = 0
	wrappedEntrypoint = 1
	wrappedInner      = 2
)

// From "struct ExternalServer": 8 bytes, 4 ptrs.
const (
	externalPtrs    = 4
	externalAddress = 0
	externalTagHTTP = 0
	externalHTTP    = 1
)

// From "struct Network": 0 bytes, 3 ptrs. A null allow means ["public"], so an
// empty list must be written.
const (
	networkPtrs  = 3
	networkAllow = 0
)

// From "struct DiskDirectory": 8 bytes, 1 ptr.
const (
	diskPtrs     = 1
	diskPath     = 0
	diskWritable = 0 // bit
)

// From "struct HttpOptions": 8 bytes, 5 ptrs. Style 0 is host.
const (
	httpPtrs           = 5
	httpForwardedProto = 0
	httpCFBlob         = 1
	httpCapnpConnect   = 4
)

// From "struct Extension": 0 bytes, 1 ptr.
const (
	extensionPtrs    = 1
	extensionModules = 0
)

// From "struct Extension.Module": 8 bytes, 2 ptrs.
const (
	extModulePtrs     = 2
	extModuleName     = 0
	extModuleInternal = 0 // bit
	extModuleSource   = 1
)
