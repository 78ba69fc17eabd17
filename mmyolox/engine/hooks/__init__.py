"""Hooks for MMEngine's Runner."""
