"""Tests against a real API server; they are skipped where its program was not built (make up, make image)."""
