package simd

func best() kernels { return portable() }
