"""Networks as data: layers, weight files, the zoo that ships."""
