"""A soak: a real gateway process under random faults and rude clients, for as long as one likes."""
