"""DiffGRM: a masked diffusion model over the digits of parallel semantic IDs."""
