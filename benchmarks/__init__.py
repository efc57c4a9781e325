"""What the package costs, beside the tools people would use otherwise; see docs/benchmarks.md."""
