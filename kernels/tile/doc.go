// Package tile holds what kernels on tiles share: the ring of slots between a warpgroup that loads and warpgroups that
// multiply, operands as they lie in a slot, the main loop of wgmma, the walk over output tiles and the way out of the
// accumulators. A family of kernels is written from these, never from a copied main loop.
//
// Operands are 16-bit, 64 deep: rows of 128 bytes with the 128-byte swizzle, which is one descriptor atom of wgmma and the
// widest row that the copy engine swizzles.
package tile
