"""What every run of this folder shares: names are looked up in fkit, and the seed is fixed."""

default_scope = "fkit"
seed = 0
