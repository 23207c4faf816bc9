package workerd

import "capnproto.org/go/capnp/v3"

const (
	// ClassImage begins the name of the image of a class, as the process gives it to
	// whoever runs its containers; the name of the class follows, and a colon and the
	// name of an image when the class chooses one.
	ClassImage = "selvage.class/"
	// GatewayImage is what the process asks for to have containers connected.
	GatewayImage = "selvage.gateway"
)

// encodeContainers says which classes have containers and who runs them.
func encodeContainers(b *builder, worker capnp.Struct, w *Worker) {
	if w.Containers == "" || b.err != nil {
		return
	}
	worker.SetUint16(workerEngine, workerEngineDocker)
	engine := b.child(worker, workerDocker, 0, dockerPtrs)
	b.text(engine, dockerSocket, "unix:"+w.Containers)
	b.text(engine, dockerGateway, GatewayImage)
}

func encodeContainer(b *builder, object capnp.Struct, o *ObjectClass) {
	if !o.Container || b.err != nil {
		return
	}
	s := b.child(object, objectContainer, 0, containerPtrs)
	b.text(s, containerImage, ClassImage+o.Class)
	if len(o.Images) == 0 {
		return
	}
	l := b.list(s, containerImages, len(o.Images), 0, namedImagePtrs)
	for i, name := range o.Images {
		if b.err != nil {
			return
		}
		b.text(l.Struct(i), namedImageName, name)
		b.text(l.Struct(i), namedImageImage, ClassImage+o.Class+":"+name)
	}
}
