"""What passes between the parts: records, filters, vectors, and the seams as Protocols."""
