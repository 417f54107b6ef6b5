"""Valkey or Redis streams as a system under test."""
