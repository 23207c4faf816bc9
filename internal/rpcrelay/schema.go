package rpcrelay

// Layout of the structs of rpc.capnp (id 0xb312981b2552a250), as
// "capnp compile -ocapnp" prints it: byte offsets in the data section, pointer
// indexes, values of union tags. Layouts never change, they only grow.
const (
	messageTag = 0 // uint16
	messagePtr = 0

	tagUnimplemented = 0
	tagAbort         = 1
	tagCall          = 2
	tagReturn        = 3
	tagFinish        = 4
	tagResolve       = 5
	tagRelease       = 6
	tagBootstrap     = 8
	tagDisembargo    = 13

	// Bootstrap, Call, Return, Finish, Resolve and Release begin with the number
	// of a question or capability.
	fieldID = 0 // uint32

	callHints        = 16 // bits
	hintOnlyPipeline = 1 << 2
	callTarget       = 0 // pointer
	callParams       = 1 // pointer

	returnBits       = 4 // byte: bit 0 is "params are not released", bit 1 is noFinishNeeded
	returnTag        = 6 // uint16
	returnResults    = 0
	returnException  = 1
	returnElsewhere  = 3
	returnTakeOther  = 4
	returnThirdParty = 5
	returnOther      = 8 // uint32
	returnPtr        = 0

	finishBits = 4 // byte: bit 0 is "results are not released"

	resolveTag       = 4 // uint16
	resolveCap       = 0
	resolveException = 1
	resolvePtr       = 0

	releaseCount = 4 // uint32

	disembargoTarget     = 0 // pointer
	disembargoTag        = 4 // uint16
	disembargoThirdParty = 2

	targetTag      = 4 // uint16
	targetImported = 0
	targetAnswer   = 1
	targetPtr      = 0

	payloadCaps = 1 // pointer

	capTag            = 0 // uint16
	capNone           = 0
	capSenderHosted   = 1
	capSenderPromise  = 2
	capReceiverHosted = 3
	capReceiverAnswer = 4
	capID             = 4 // uint32
	capPtr            = 0
)

// Types of exceptions.
const (
	typeFailed       = 0
	typeDisconnected = 2
)
