// Package imagefs turns the layers of container images into folders that overlayfs
// can stack.
//
// A layer is written by whoever built the image, so all of it is hostile:
//
//   - Nothing is written outside of the folder: every path goes through [os.Root],
//     links that were unpacked before included.
//   - What a layer may take is bounded: bytes, entries, depth.
//   - Device nodes are refused, but for those below dev, which a container's own
//     /dev hides; they are left out.
//   - Attributes that overlayfs itself believes in (trusted.*) are never taken from
//     a layer; those that say what a layer removes are made here.
//   - The content must have the digest that the image's configuration says.
//
// A folder appears under its name when all of it is on disk, or not at all. It is
// a cache: the layer it was made of is in the blob store.
package imagefs
