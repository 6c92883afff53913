"""What GLASS is compared with."""
