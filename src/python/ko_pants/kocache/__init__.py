"""KOCACHE: the maps from Go build id to diffID to descriptor; no bytes of layers, no Pants."""
