"""The models that GLASS is compared with."""
