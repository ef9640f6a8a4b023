"""Networks in the formats of others: what goes out to them, what comes in from them."""
