"""Backbones, necks and the towers of the head."""
