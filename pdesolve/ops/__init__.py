"""Mathematics on tensors: Fourier calculus, finite differences, norms, random fields."""
