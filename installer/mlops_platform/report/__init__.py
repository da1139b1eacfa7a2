"""What screens and pages show, as plain values; the console renders them."""
